"""Following a number back, checking results against their records, passing them on."""
