"""The phantom: deterministic synthetic chest radiographs and reports in the real raw layouts."""
