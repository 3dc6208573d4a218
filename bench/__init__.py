"""Figures of speed and cost, measured side by side in one run and written to bench/results/."""
