"""The six stages, one file each: parse, call, record."""
