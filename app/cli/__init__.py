"""The command line `trainwatt`."""

from app.cli.commands import main

__all__ = ["main"]
