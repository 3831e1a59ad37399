"""Radiology reports: sections, cleaning, words and similarity."""
