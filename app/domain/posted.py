"""What a training that ran outside of the service sends of itself, to be accounted and kept."""

import hashlib
import json
import uuid
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from app.domain.errors import FieldError
from app.domain.external import ExternalTraining
from app.domain.jobs import JobError, JobStatus
from app.domain.json_values import storable
from app.domain.quantities import Frozen
from app.domain.readings import Readings

MOST_READINGS = 50_000
MOST_TEXT, MOST_HOST = 2000, 256  # characters of any text, and of the host's name
MOST_SAMPLES, MOST_FLOPS = 10**12, 9 * 10**18  # of an epoch, and of the training: 64 bits hold them
MOST_INDEX = 10**9
MOST_NUMBER = 10**18
MOST_CPUS, MOST_GIB = 10**6, 10**6
FIRST_YEAR = 2000
IDS = uuid.UUID("0f1f5b0e-6d0c-4a3c-9f57-1d1a4f6f4c11")  # the namespace of their identifiers


def _bounded(given: Any) -> Any:
    """The value, if nothing in it is longer or larger than is needed; without recursion.

    Raises:
        PydanticCustomError: one is.
    """
    waiting = [given]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str) and len(value) > MOST_TEXT:
            expected = f"texts of at most {MOST_TEXT:,} characters"
            raise PydanticCustomError("too_long", "{expected}", {"expected": expected})
        if isinstance(value, int | float) and abs(value) > MOST_NUMBER:
            expected = f"numbers of at most {MOST_NUMBER:.0e}"
            raise PydanticCustomError("too_large", "{expected}", {"expected": expected})
        if isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple):
            waiting += value
    return given


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
    _small = model_validator(mode="before")(_bounded)

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
    found = [*_too_large(posted)]
    if not 2 <= len(items) <= MOST_READINGS:
        expected = f"2 to {MOST_READINGS:,} readings"
        found.append(FieldError(field="readings.readings", expected=expected, received=len(items)))
    if readings.attempt != 1:
        found.append(FieldError(field="readings.attempt", expected="1", received=readings.attempt))
    if readings.started_at.tzinfo is None or readings.started_at.year < FIRST_YEAR:
        found.append(
            FieldError(
                field="readings.started_at",
                expected=f"a time with its zone, from the year {FIRST_YEAR} on",
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


def _too_large(posted: PostedReport) -> Iterator[FieldError]:
    """Numbers that no table holds, and a name that no index does."""
    host = posted.readings.host.name
    if not 1 <= len(host) <= MOST_HOST:
        expected = f"1 to {MOST_HOST} characters"
        yield FieldError(field="readings.host.name", expected=expected, received=len(host))
    facts = posted.readings.host
    if not (1 <= facts.host_cpus <= MOST_CPUS and 1 <= facts.logical_cpus <= MOST_CPUS):
        expected = f"1 to {MOST_CPUS:,} CPUs"
        received = [facts.host_cpus, facts.logical_cpus]
        yield FieldError(field="readings.host.host_cpus", expected=expected, received=received)
    if not 0 < facts.memory_gib <= MOST_GIB:
        expected = f"above 0 and at most {MOST_GIB:,} GiB"
        yield FieldError(
            field="readings.host.memory_gib", expected=expected, received=facts.memory_gib
        )
    samples = 0
    for item in posted.readings.readings:
        told = item.ended.get("samples")
        trained = told if isinstance(told, int | float) else 0
        if not 0 <= trained <= MOST_SAMPLES or not 0 <= (item.index or 0) <= MOST_INDEX:
            expected = f"samples from 0 to {MOST_SAMPLES:,} and an index from 0 to {MOST_INDEX:,}"
            odd = {"samples": told, "index": item.index}
            yield FieldError(field="readings.readings", expected=expected, received=odd)
            return
        samples += int(trained)
    flops = samples * (posted.training.flops_per_sample or 0)
    if flops > MOST_FLOPS:
        expected = f"at most {MOST_FLOPS:.0e} FLOPs in all its samples"
        yield FieldError(
            field="training.flops_per_sample", expected=expected, received=f"{flops:.1e} in all"
        )
