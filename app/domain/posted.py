"""What a training that ran outside of the service sends of itself, to be accounted and kept."""

import hashlib
import json
import uuid
from typing import Annotated, Literal

from pydantic import Field, model_validator

from app.domain.errors import FieldError
from app.domain.external import ExternalTraining
from app.domain.jobs import JobError, JobStatus
from app.domain.json_values import storable
from app.domain.quantities import Frozen
from app.domain.readings import Readings

MOST_READINGS = 50_000
IDS = uuid.UUID("0f1f5b0e-6d0c-4a3c-9f57-1d1a4f6f4c11")  # the namespace of their identifiers


class Ended(Frozen):
    """How a training ended: well, by an error that it raised, or by its user's hand."""

    status: Literal["succeeded", "failed", "cancelled"] = "succeeded"
    error: JobError | None = None


class PostedReport(Frozen):
    """The facts of a training, its readings, and how it ended.

    The same content always stands for the same job.
    """

    training: ExternalTraining
    ended: Ended = Ended()
    readings: Annotated[
        Readings, Field(description="as `GET /v1/jobs/{id}/readings` gives them; attempt 1")
    ]

    _storable = model_validator(mode="before")(storable)

    @property
    def status(self) -> JobStatus:
        """The final status."""
        return JobStatus(self.ended.status)

    @property
    def job_id(self) -> str:
        """The identifier that the job has wherever it is accounted for."""
        told = {**self.model_dump(mode="json", exclude={"readings"}), "of": self.readings.sha256()}
        text = json.dumps(told, sort_keys=True, separators=(",", ":"))
        return str(uuid.uuid5(IDS, hashlib.sha256(text.encode()).hexdigest()))

    def problems(self) -> tuple[FieldError, ...]:
        """What cannot be accounted for, by field; types and ranges hold already."""
        return tuple(_problems(self))


def _problems(posted: PostedReport) -> list[FieldError]:
    readings, items = posted.readings, posted.readings.readings
    found = []
    if not 2 <= len(items) <= MOST_READINGS:
        expected = f"2 to {MOST_READINGS:,} readings"
        found.append(FieldError(field="readings.readings", expected=expected, received=len(items)))
    if readings.attempt != 1:
        found.append(FieldError(field="readings.attempt", expected="1", received=readings.attempt))
    if readings.started_at.tzinfo is None:
        found.append(
            FieldError(
                field="readings.started_at",
                expected="a time with its zone",
                received=readings.started_at.isoformat(),
            )
        )
    if any(two.t_s < one.t_s for one, two in zip(items, items[1:], strict=False)):
        found.append(
            FieldError(field="readings.readings", expected="in order of `t_s`", received="not so")
        )
    sensors = len(readings.meter.sensors)
    if any(len(item.sensors_j) not in {0, sensors} for item in items):
        expected = f"{sensors} joules in each `sensors_j`, as `meter.sensors` has sensors"
        found.append(FieldError(field="readings.readings", expected=expected, received="others"))
    if (posted.ended.error is None) != (posted.status is not JobStatus.FAILED):
        expected = "an error where the status is failed, and none elsewhere"
        received = posted.ended.model_dump(mode="json")
        found.append(FieldError(field="ended.error", expected=expected, received=received))
    return found
