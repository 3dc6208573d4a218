"""trainwatt: what a training run costs in energy, and how sure that figure is."""

__version__ = "0.1.0"
