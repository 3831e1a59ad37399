"""Radiology reports: sections, cleaning, findings, words, and how alike they are."""
