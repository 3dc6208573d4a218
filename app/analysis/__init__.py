"""Comparisons of measured runs: pure functions over reports."""
