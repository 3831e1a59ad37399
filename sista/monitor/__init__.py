"""Where a grid stands: jobs done, running, failed and to do."""
