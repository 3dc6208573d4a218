"""The meter for people who train in their own script: the report that a job of the service gets.

`measure` is a context manager; `app.measure.keras` has a callback for `model.fit`.
"""

from app.measure.run import Measurement, PhaseFacts, measure

__all__ = ["Measurement", "PhaseFacts", "measure"]
