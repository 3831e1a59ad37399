"""One file per protocol: the fixed rules under which numbers are made."""
