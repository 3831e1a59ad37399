"""The words that there are."""
