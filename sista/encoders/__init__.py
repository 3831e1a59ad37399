"""Image and text encoders and their checkpoints."""
