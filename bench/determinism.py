"""Whether the same spec gives the same losses, and how far each setting moves them."""

import tempfile
from pathlib import Path
from typing import Any

from app.metering.host import usable_cpus
from bench.training import IMAGES, SERIES, fork_server, train

EPOCHS = 2
REPEATS = 2
FEWER = {"samples": 500}
WORKLOADS: dict[str, dict[str, Any]] = {
    "cnn": {"model_type": "cnn", "dataset": IMAGES | FEWER},
    "rnn": {"model_type": "rnn", "dataset": SERIES | FEWER},
    "attention": {"model_type": "attention", "dataset": SERIES | FEWER},
    "transformer": {"model_type": "transformer", "size": "tiny", "dataset": SERIES | FEWER},
}
PINNED = {"jit_compile": False, "threads": 1, "steps_per_execution": 16, "input_pipeline": "memory"}
CHANGES: dict[str, dict[str, Any]] = {
    "nothing": {},
    "steps_per_execution 1": {"steps_per_execution": 1},
    "input_pipeline tf_data": {"input_pipeline": "tf_data"},
    "threads: all": {"threads": usable_cpus()},
    "jit_compile": {"jit_compile": True},
    "mixed_bfloat16": {"precision": "mixed_bfloat16"},
}


def run() -> dict[str, object]:
    """Each change repeated; against the first run with one thread, uncompiled, in float32."""
    with tempfile.TemporaryDirectory() as folder, fork_server() as context:

        def losses(given: dict[str, Any], change: dict[str, Any]) -> list[list[float]]:
            spec = {**given, "epochs": EPOCHS, "execution": {**PINNED, **change}}
            return [train(context, spec, Path(folder))["losses"] for _ in range(REPEATS)]

        found = {
            name: _compared({what: losses(given, change) for what, change in CHANGES.items()})
            for name, given in WORKLOADS.items()
        }
    return {
        "what": f"losses of {EPOCHS} epochs, {REPEATS} times with each change of the execution; "
        "largest relative difference between repeats, and to the unchanged run",
        "unchanged": PINNED,
        "workloads": found,
    }


def _compared(runs: dict[str, list[list[float]]]) -> dict[str, dict[str, float]]:
    first = runs["nothing"][0]
    return {
        what: {
            "between_repeats": max(_apart(repeats[0], other) for other in repeats),
            "to_unchanged": max(_apart(first, other) for other in repeats),
        }
        for what, repeats in runs.items()
    }


def _apart(one: list[float], other: list[float]) -> float:
    """The largest relative difference of two rows of losses; 0 where they are the same bits."""
    largest = max(abs(a - b) / abs(a) for a, b in zip(one, other, strict=True))
    return float(f"{largest:.3g}")
