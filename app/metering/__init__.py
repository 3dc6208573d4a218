"""How energy is read: the meter protocol, codecarbon behind it, and the host's own counters."""
