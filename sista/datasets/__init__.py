"""One file per data set: its card and its reader."""
