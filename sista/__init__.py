"""SISTA-Bench: a reproducible benchmark suite for medical vision-language pre-training."""

__version__ = "0.1.0"
