"""Importers for released weights: one card per release."""
