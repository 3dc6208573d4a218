"""Hosts, meters and readings as the worker would leave them, and the report of such readings."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from app.accounting.report import report
from app.domain.jobs import JobStatus
from app.domain.quantities import CarbonIntensity
from app.domain.readings import (
    ComponentFacts,
    HostFacts,
    IdlePower,
    MeterFacts,
    Method,
    Quiet,
    Reading,
    Readings,
    Sensor,
)
from app.domain.reports import EnergyReport
from app.domain.specs import JobSpec, WorkloadFacts

MARKS: dict[float, dict[str, Any]] = {
    1.0: {
        "begins": "epoch",
        "index": 0,
        "ended": {"tensorflow": "2.21.0", "threads": 2, "jit_compile": False},
    },
    5.0: {
        "begins": "validation",
        "index": 0,
        "ended": {"samples": 4000, "loss": 0.6, "train_accuracy": 0.8},
    },
    6.0: {
        "begins": "epoch",
        "index": 1,
        "ended": {"validation_accuracy": 0.9, "validation_loss": 0.4},
    },
    11.0: {
        "begins": "validation",
        "index": 1,
        "ended": {"samples": 4000, "loss": 0.3, "train_accuracy": 0.9},
    },
    12.5: {
        "begins": "evaluation",
        "ended": {"validation_accuracy": 0.9, "validation_loss": 0.3},
    },
    15.0: {"begins": "end", "ended": {"test_accuracy": 0.95, "test_loss": 0.2}},
}


def _marks(at_s: float, **facts: Any) -> dict[float, dict[str, Any]]:
    """The marks, with more facts of the phase that ends at a moment."""
    mark = MARKS[at_s]
    return MARKS | {at_s: mark | {"ended": mark["ended"] | facts}}


def _host(**changes: Any) -> HostFacts:
    """Two vCPUs of an EPYC Genoa whose name says no more than EPYC, with 24 GiB."""
    facts: dict[str, Any] = {
        "name": "host",
        "boot_id": None,
        "os": "Linux",
        "python": "3.11",
        "cpu_vendor": "AuthenticAMD",
        "cpu_model": "AMD EPYC",
        "cpu_family": 25,
        "cpu_model_number": 17,
        "logical_cpus": 2,
        "host_cpus": 2,
        "memory_gib": 24,
        "virtual_machine": True,
    }
    return HostFacts(**(facts | changes))


def _component(**changes: Any) -> ComponentFacts:
    return ComponentFacts(**({"method": Method.ABSENT} | changes))


def _meter(**changes: Any) -> MeterFacts:
    """codecarbon on that host: a guess of 4 W a thread, RAM flat, no GPU."""
    facts: dict[str, Any] = {
        "cpu": _component(
            method="assumed", source="codecarbon cpu_load", tdp_w=8, tdp_guessed=True
        ),
        "gpu": _component(),
        "ram": _component(method="assumed", source="codecarbon, 20 W flat", constant_w=20),
        "codecarbon": "3.3.2",
    }
    return MeterFacts(**(facts | changes))


def _attempt(
    *,
    seconds: float = 20.0,
    step_s: float = 0.5,
    cpu_w: float | None = 8.0,
    gpu_w: float | None = None,
    ram_w: float | None = 20.0,
    load: float | None = 1.0,
    others: float = 0.0,
    steal: float = 0.0,
    host: HostFacts | None = None,
    meter: MeterFacts | None = None,
    marks: dict[float, dict[str, Any]] = MARKS,
    start_j: float = 1000.0,
) -> Readings:
    """Readings every `step_s` under constant power and load; the job has a tenth less than all."""
    host, meter = host or _host(), meter or _meter()
    count = round(seconds / step_s)
    times = [n * step_s for n in range(count)] + [seconds]

    def joules(watts: float | None, t: float) -> float | None:
        return None if watts is None else start_j + watts * t

    def reading(t: float) -> Reading:
        busy_s = None if load is None else 50.0 + load * host.host_cpus * t
        return Reading(
            t_s=t,
            cpu_j=joules(cpu_w, t),
            gpu_j=joules(gpu_w, t),
            ram_j=joules(ram_w, t),
            host_busy_s=busy_s,
            host_steal_s=7.0 + steal * host.host_cpus * t,
            job_cpu_s=None
            if t == seconds
            else ((load or 0) - others) * host.host_cpus * t,  # gone at the end
            service_cpu_s=3.0,
            instrument_cpu_s=1.0 + 0.001 * t,
            **({"begins": "setup"} if t == 0 else marks.get(t, {})),
        )

    return Readings(
        attempt=1,
        started_at=datetime(2026, 11, 24, 20, tzinfo=UTC),
        host=host,
        meter=meter,
        readings=tuple(reading(t) for t in times),
    )


def _idle(**changes: Any) -> IdlePower:
    """A quiet minute in which the CPU's sensors showed 20 W and the GPU's 60 W."""
    facts: dict[str, Any] = {
        "taken_at": datetime(2026, 11, 24, 19, 50, tzinfo=UTC),
        "window_s": 60.0,
        "cpu_w": 20.0,
        "gpu_w": 60.0,
        "others_share": 0.001,
        "service_share": 0.002,
    }
    return IdlePower(**(facts | changes))


def _measured(*, seconds: float = 60.0, idle: IdlePower | None = None, **changes: Any) -> Readings:
    """Two RAPL packages of 30 and 20 W for a minute, and nothing else, on a quiet host."""
    sensors = (
        Sensor(name="package-0", component="cpu", range_j=262_143.0),
        Sensor(name="package-1", component="cpu", range_j=262_143.0),
    )
    facts: dict[str, Any] = {
        "host": _host(cpu_vendor="GenuineIntel", virtual_machine=False),
        "meter": _meter(
            cpu=_component(method="measured", source="codecarbon intel_rapl"),
            ram=_component(),
            sensors=sensors,
        ),
    }
    plain = _attempt(cpu_w=50.0, ram_w=None, seconds=seconds, **(facts | changes))
    taken = tuple(
        reading.model_copy(update={"sensors_j": (7.0 + 30 * reading.t_s, 9.0 + 20 * reading.t_s)})
        for reading in plain.readings
    )
    return plain.model_copy(
        update={
            "readings": taken,
            "idle": idle or _idle(),
            "quiet": Quiet(waited_s=0.0, others_share=0.0, quiet=True),
            "governor": "performance",
        }
    )


def _changed(readings: Readings, change: Callable[[Reading], dict[str, Any]]) -> Readings:
    """The readings with some fields of each changed."""
    taken = tuple(reading.model_copy(update=change(reading)) for reading in readings.readings)
    return readings.model_copy(update={"readings": taken})


def _intensity(**changes: Any) -> CarbonIntensity:
    facts: dict[str, Any] = {
        "g_per_kwh": 56.039,
        "source": "codecarbon global_energy_mix",
        "year": 2023,
        "country_iso_code": "FRA",
        "region": None,
        "pue": 1.0,
        "reason": None,
    }
    return CarbonIntensity(**(facts | changes))


WORK = WorkloadFacts(
    parameters=225_034,
    layers=7,
    flops_per_sample=15_396_864,
    input_shape=(28, 28, 1),
    classes=10,
    training_samples=4000,
    validation_samples=500,
    test_samples=500,
    memory_bytes=1,
)


def _evaluate(readings: Readings, **changes: Any) -> EnergyReport:
    arguments: dict[str, Any] = {
        "job_id": "j",
        "spec": JobSpec(model_type="cnn"),
        "status": JobStatus.SUCCEEDED,
        "work": WORK,
        "intensity": _intensity(),
    }
    return report(readings, **(arguments | changes))


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """All of the makers below under one name."""
    return SimpleNamespace(
        host=_host,
        component=_component,
        meter=_meter,
        attempt=_attempt,
        idle=_idle,
        measured=_measured,
        changed=_changed,
        intensity=_intensity,
        evaluate=_evaluate,
    )


@pytest.fixture(scope="session")
def host() -> Callable[..., HostFacts]:
    return _host


@pytest.fixture(scope="session")
def component() -> Callable[..., ComponentFacts]:
    return _component


@pytest.fixture(scope="session")
def meter() -> Callable[..., MeterFacts]:
    return _meter


@pytest.fixture(scope="session")
def attempt() -> Callable[..., Readings]:
    return _attempt


@pytest.fixture(scope="session")
def marks() -> Callable[..., dict[float, dict[str, Any]]]:
    return _marks


@pytest.fixture(scope="session")
def intensity() -> Callable[..., CarbonIntensity]:
    return _intensity


@pytest.fixture(scope="session")
def work() -> WorkloadFacts:
    return WORK


@pytest.fixture(scope="session")
def evaluate() -> Callable[..., EnergyReport]:
    return _evaluate


@pytest.fixture(scope="session")
def idle() -> Callable[..., IdlePower]:
    return _idle


@pytest.fixture(scope="session")
def measured() -> Callable[..., Readings]:
    return _measured


@pytest.fixture(scope="session")
def changed() -> Callable[..., Readings]:
    return _changed
