"""The pre-training engine: data, model and loop, the same for every method."""
