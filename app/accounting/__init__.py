"""Readings → report, as pure functions: power models, intervals, carbon, efficiency, trust."""
