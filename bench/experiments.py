"""Ten experiments of a training against itself: how often a difference is seen that is none."""

import itertools
import time
from typing import Any

from bench.record import spread
from bench.service import Service, service

EXPERIMENTS = 10
BLOCKS = 4
# Limits are part of a spec's identity and change nothing in a run that stays below them.
SPEC: dict[str, Any] = {
    "base": {"model_type": "cnn", "size": "tiny", "epochs": 10, "dataset": {"name": "digits"}},
    "vary": {"limits.timeout_s": [3600, 3599]},
    "repeats": BLOCKS,
    "vary_seed": False,
}
LOOK_S = 0.5


def run() -> dict[str, object]:
    """One after the other on one service; the joules of every run, block by block."""
    with service() as running:
        running.wait(running.submit(**SPEC["base"]))  # what is read from the disk is read once
        found = [_experiment(running, number) for number in range(EXPERIMENTS)]
    pairs = [one["result"]["pairs"][0] for one in found]
    return {
        "what": f"a training against itself, {BLOCKS} blocks: pairs said to differ, and the noise",
        "experiments": EXPERIMENTS,
        "said_to_differ": sum(pair["less"] is not None for pair in pairs),
        "stated_at_most": 0.05,
        "ratio": spread([pair["ratio"] for pair in pairs]),
        "interval_over_ratio": spread([pair["high"] / pair["low"] for pair in pairs]),
        "deviation_in_a_variant": spread(_deviations(found)),
    }


def _experiment(running: Service, number: int) -> dict[str, Any]:
    spec = SPEC | {"order_seed": number}
    made = running.http.post("/v1/experiments", json=spec).raise_for_status().json()
    while True:
        found: dict[str, Any] = running.http.get(made["links"]["self"]).raise_for_status().json()
        if found["ended"]:
            return found
        time.sleep(LOOK_S)


def _deviations(found: list[dict[str, Any]]) -> list[float]:
    """The relative standard deviation of each variant's energies."""
    variants = itertools.chain.from_iterable(one["result"]["variants"] for one in found)
    energies = [variant["energy_j"] for variant in variants]
    return [one["standard_deviation"] / one["mean"] for one in energies]
