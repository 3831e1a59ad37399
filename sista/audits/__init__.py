"""Audits of data sets and of anybody's lists: what is wrong with them, counted and named."""
