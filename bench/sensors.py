"""Errors of our meter and of stock codecarbon on the same simulated sensors, by trace and length.

Each trace has a process for ours and a process for stock codecarbon, which run in turn, so that
neither disturbs the other. Nothing is trained meanwhile; the runs are as long as a timer says.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.simulated.sensors import INTEL_RANGE_UJ, Sensors
from tests.simulated.traces import bursts, ramp, square, steady

LENGTHS_S = (0.03, 0.1, 0.3, 0.5, 0.97, 1.0, 1.03, 2.0, 3.0, 10.0)
PERIOD_S = 1.0
REST_S = 0.05
JOULES_PER_KWH = 3.6e6
LIMIT_S = 180.0  # of one process
WRAPS_UJ = 150_000_000
WIDE_S = 0.3  # from which a figure is given at all
GROUPS = {
    "0.03 to 0.1 s": (0.0, 0.2),
    "0.3 to 0.5 s": (0.2, 0.6),
    "0.97 to 1.03 s": (0.6, 1.5),
    "2 to 3 s": (1.5, 5.0),
    "10 s": (5.0, 20.0),
}


def _steady(sensors: Sensors) -> None:
    sensors.add("rapl", steady(60))


def _square(sensors: Sensors) -> None:
    sensors.add("rapl", square(20, 120, 0.5))


def _ramp(sensors: Sensors) -> None:
    sensors.add("rapl", ramp(10, 150, 3.0))


def _bursts(sensors: Sensors) -> None:
    sensors.add("rapl", bursts(15, 200, every_s=0.7, burst_s=0.05))


def _two(sensors: Sensors) -> None:
    sensors.add("rapl", steady(60), range_uj=INTEL_RANGE_UJ, start_uj=INTEL_RANGE_UJ - 50_000_000)
    sensors.add("rapl", square(20, 120, 0.5), range_uj=WRAPS_UJ)
    sensors.add("gpu", square(80, 250, 1.1), start_uj=77_000_000_000)


TRACES: dict[str, Callable[[Sensors], None]] = {
    "steady, 60 W": _steady,
    "square, 20 and 120 W, 0.5 s": _square,
    "ramp, 10 to 150 W in 3 s": _ramp,
    "bursts, 15 W and 50 ms of 200 W": _bursts,
    "two sockets that wrap, and a GPU": _two,
}


def run() -> dict[str, object]:
    """Every trace at every length, ours and stock; errors as shares of the truth."""
    found: list[dict[str, Any]] = []
    for name, lay in TRACES.items():
        for who in ("ours", "stock"):
            found += [{"trace": name, "who": who, **one} for one in _measured(who, lay)]
    return {
        "what": "errors on simulated counters of known power, as a share of the truth: what was "
        "drawn from the return of the call that begins to the call that ends",
        "runs": len(found) // 2,
        "goal_error_from_0.3_s": 0.005,
        "by_trace_from_0.3_s": {
            name: _both(one for one in found if one["trace"] == name and one["asked_s"] >= WIDE_S)
            for name in TRACES
        },
        "by_length": {name: _both(_of(found, name)) for name in GROUPS},
        "flat_power_of_the_ram_by_length": {
            name: _both(_of(found, name), "ram_error") for name in GROUPS
        },
        "ours_between_the_moments_that_it_tells_by_length": {
            name: _sizes([one["told_error"] for one in _of(found, name) if one["who"] == "ours"])
            for name in GROUPS
        },
        "each": found,
    }


def _of(found: Iterable[dict[str, Any]], group: str) -> list[dict[str, Any]]:
    """The runs of a group of lengths."""
    low_s, high_s = GROUPS[group]
    return [one for one in found if low_s <= one["asked_s"] < high_s]


def _both(found: Iterable[dict[str, Any]], key: str = "error") -> dict[str, dict[str, float]]:
    """The median of the errors' sizes and the worst, ours and stock."""
    kept = list(found)
    return {
        who: _sizes([one[key] for one in kept if one["who"] == who]) for who in ("ours", "stock")
    }


def _sizes(errors: Sequence[float]) -> dict[str, float]:
    worst = max(errors, key=abs)
    median = statistics.median(map(abs, errors))
    return {"n": len(errors), "median": float(f"{median:.3g}"), "worst": float(f"{worst:.3g}")}


def _measured(who: str, lay: Callable[[Sensors], None]) -> list[dict[str, Any]]:
    """What a process of its own measured on sensors of its own, beside the truth."""
    with tempfile.TemporaryDirectory(prefix="trainwatt-bench-") as folder:
        sensors = Sensors(Path(folder))
        lay(sensors)
        command = [sys.executable, "-m", "bench.sensors", who, folder]
        done = subprocess.run(
            command,
            env=os.environ | {"CODECARBON_LOG_LEVEL": "CRITICAL"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=LIMIT_S,
        )
        return [_judged(sensors, json.loads(line)) for line in done.stdout.splitlines()]


def _judged(sensors: Sensors, one: dict[str, Any]) -> dict[str, Any]:
    """A run's errors; `told_error` is that between the moments that our meter itself tells."""
    every = range(len(sensors.all))
    truth_j = sensors.between_j(every, one["from_s"], one["to_s"])
    judged = {
        "asked_s": one["asked_s"],
        "error": one["energy_j"] / truth_j - 1,
        "ram_error": one["ram_j"] / (one["ram_w"] * (one["to_s"] - one["from_s"])) - 1,
    }
    if "told" in one:
        judged["told_error"] = one["energy_j"] / sensors.between_j(every, *one["told"]) - 1
    return judged


def _ours() -> None:
    """Runs as a worker reads them: at the start, once a period, and at the end."""
    from app.metering.meter import CodecarbonMeter, Energies

    meter = CodecarbonMeter()
    ram_w = meter.facts.ram.constant_w

    def read() -> tuple[float, float, float, Energies]:
        before_s = time.monotonic()
        energies = meter.read()
        after_s = time.monotonic()
        return before_s, (before_s + after_s) / 2, after_s, energies

    for asked_s in LENGTHS_S:
        time.sleep(REST_S)
        _, told_s, from_s, first = read()
        due_s = from_s + PERIOD_S
        while due_s < from_s + asked_s:
            _until(due_s)
            read()
            due_s += PERIOD_S
        _until(from_s + asked_s)
        to_s, told_to_s, _, last = read()
        _tell(
            asked_s=asked_s,
            from_s=from_s,
            to_s=to_s,
            told=[told_s, told_to_s],
            energy_j=_difference(last.cpu_j, first.cpu_j) + _difference(last.gpu_j, first.gpu_j),
            ram_j=_difference(last.ram_j, first.ram_j),
            ram_w=ram_w,
        )
    meter.close()


def _difference(last_j: float | None, first_j: float | None) -> float:
    return 0.0 if last_j is None or first_j is None else last_j - first_j


def _stock() -> None:
    """Runs as codecarbon's documentation has them: start and stop, one sample a second."""
    _tracker().stop()  # finds the hardware, which takes seconds the first time
    for asked_s in LENGTHS_S:
        time.sleep(REST_S)
        tracker = _tracker()
        from_s = time.monotonic()
        ram = next(item for item in tracker._hardware if type(item).__name__ == "RAM")
        _until(from_s + asked_s)
        to_s = time.monotonic()
        tracker.stop()
        data = tracker.final_emissions_data
        _tell(
            asked_s=asked_s,
            from_s=from_s,
            to_s=to_s,
            energy_j=(data.cpu_energy + data.gpu_energy) * JOULES_PER_KWH,
            ram_j=data.ram_energy * JOULES_PER_KWH,
            ram_w=float(ram.total_power().W),
        )


def _tracker() -> Any:
    from codecarbon import OfflineEmissionsTracker

    tracker = OfflineEmissionsTracker(
        measure_power_secs=PERIOD_S,
        country_iso_code="FRA",
        output_methods=[],
        output_dir=tempfile.gettempdir(),
        log_level="critical",
        allow_multiple_runs=True,
    )
    tracker.start()
    return tracker


def _until(moment_s: float) -> None:
    time.sleep(max(0.0, moment_s - time.monotonic()))


def _tell(**fields: object) -> None:
    print(json.dumps(fields), flush=True)


def main(who: str, folder: str) -> None:
    """One process: put the sensors under codecarbon, and measure every length."""
    from tests.simulated.install import install

    install(Path(folder))
    {"ours": _ours, "stock": _stock}[who]()


if __name__ == "__main__":
    main(*sys.argv[1:])
