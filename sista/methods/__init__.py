"""One file per pre-training method."""
