"""Training by each setting against a plain `model.fit`: samples a second, CPU-seconds a sample.

Every training is a child of a fork server that has TensorFlow loaded, as in the service; the
configurations of a workload take turns. The figures are of the `epoch` phases after the first.
PyTorch joins where there is one: TRAINWATT_BENCH_TORCH names a Python that has it.
"""

import importlib.util
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

from app.metering.host import usable_cpus
from app.worker.environment import FORK_SERVER
from bench.record import spread

ROUNDS = {32: 5, 128: 2}  # by batch size
EPOCHS = 3  # the first of each is left out
IMAGES = {"name": "mnist5k"}
SERIES = {"name": "synthetic", "shape": [100, 10]}
WORKLOADS: dict[str, dict[str, Any]] = {
    f"{model} {batch}": {"model_type": model, "dataset": data, "batch_size": batch}
    for model, data in (("cnn", IMAGES), ("rnn", SERIES), ("attention", SERIES))
    for batch in (32, 128)
}
PLAIN = {"mode": "keras_fit"}
GOALS = {  # at batch 32: samples a second, CPU-seconds a sample, over those of the plain fit
    "cnn 32": {"speed": 1.9, "cpu": 0.6},
    "rnn 32": {"speed": 2.4, "cpu": 0.55},
    "attention 32": {"speed": 4.5, "cpu": 0.4},
}
Figures = dict[str, Any]


def settings() -> dict[str, dict[str, Any]]:
    """What is tried, by a short name; those in float32 are set against `auto float32`."""
    cpus = usable_cpus()
    one, all_ = {"threads": 1, "jit_compile": False}, {"threads": cpus, "jit_compile": False}
    half = {"precision": "mixed_bfloat16"}
    return {
        "plain fit": PLAIN,
        "auto float32": {},
        "auto": {"precision": "auto"},
        "float32, 1 thread": one,
        "float32, all threads": all_,
        "float32, 1 thread, 64 steps": {**one, "steps_per_execution": 64},
        "bfloat16, 1 thread": {**one, **half},
        "bfloat16, all threads": {**all_, **half},
    }


def run() -> dict[str, object]:
    """Every workload in turn."""
    with tempfile.TemporaryDirectory() as cache, fork_server() as context:
        found = {
            name: {
                **over_the_bests(rounds := _rounds(context, given, Path(cache), name)),
                **{what: _ratios(rounds, what) for what in rounds[0]},
            }
            for name, given in WORKLOADS.items()
        }
    return {
        "what": "samples a second and CPU-seconds a sample of the epochs after the first,"
        " rounds in turn; ratios to a plain fit of the same round",
        "goals_at_batch_32": GOALS,
        "workloads": found,
    }


@contextmanager
def fork_server() -> Iterator[ForkServerContext]:
    """A fork server with the training room loaded, as the worker has it."""
    os.environ.update(FORK_SERVER)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["app.training.run"])
    yield context


def train(context: ForkServerContext, spec: dict[str, Any], cache: Path) -> Figures:
    """One training in a child: medians over its epochs after the first.

    Raises:
        RuntimeError: the child ended without an answer.
    """
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(there, json.dumps(spec), cache), daemon=True)
    process.start()
    there.close()
    try:
        figures: Figures = here.recv()
    except EOFError:
        raise RuntimeError(f"no answer from a training of {spec}") from None
    finally:
        process.join()
    return figures


def _child(pipe: Connection, spec_json: str, cache: Path) -> None:
    from app.domain.specs import JobSpec
    from app.training.run import train as run_training

    marks: list[tuple[str, float, float, dict[str, Any]]] = []

    def mark(phase: str, _: int | None, ended: dict[str, Any]) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        marks.append((phase, time.perf_counter(), used.ru_utime + used.ru_stime, ended))

    run_training(JobSpec.model_validate_json(spec_json), mark, lambda *_: None, cache)
    pairs = [
        (begin, end)
        for begin, end in zip(marks, marks[1:], strict=False)
        if begin[0] == "epoch" and end[0] == "validation"
    ][1:]
    pipe.send(
        {
            "samples_per_s": statistics.median(b[3]["samples"] / (b[1] - a[1]) for a, b in pairs),
            "cpu_s_per_sample": statistics.median(
                (b[2] - a[2]) / b[3]["samples"] for a, b in pairs
            ),
            "accuracy": marks[-1][3]["test_accuracy"],
            "losses": [end[3]["loss"] for end in marks if "loss" in end[3]],
        }
    )


def _rounds(
    context: ForkServerContext, given: dict[str, Any], cache: Path, name: str
) -> list[dict[str, Figures]]:
    found = []
    for seed in range(ROUNDS[given["batch_size"]]):
        tried = take_turns(context, {**given, "epochs": EPOCHS, "seed": seed}, settings(), cache)
        found.append({**tried, **_pytorch(given, cache, seed)})
        say(name, seed, found[-1])
    return found


def take_turns(
    context: ForkServerContext,
    spec: dict[str, Any],
    tried: dict[str, dict[str, Any]],
    cache: Path,
) -> dict[str, Figures]:
    """One training of a spec by each setting."""
    return {
        what: train(context, {**spec, "execution": execution}, cache)
        for what, execution in tried.items()
    }


def say(name: str, seed: int, tried: dict[str, Figures]) -> None:
    """Show how a bench of many minutes comes on."""
    print(name, seed, {what: round(f["samples_per_s"]) for what, f in tried.items()}, flush=True)


def over_the_bests(rounds: list[dict[str, Figures]]) -> dict[str, Any]:
    """How `auto` compares with the best that was tried, in float32 and in any precision."""
    return {
        "auto_over_the_best": {
            "float32": _over_the_best(rounds, "auto float32", "float32,"),
            "any precision": _over_the_best(rounds, "auto", ("float32,", "bfloat16,")),
        }
    }


def _over_the_best(
    rounds: list[dict[str, Figures]], auto: str, kinds: str | tuple[str, ...]
) -> dict[str, Any]:
    """The speed of `auto` over that of the fastest setting of a kind, round by round."""
    speeds = {
        what: statistics.median(each[what]["samples_per_s"] for each in rounds)
        for what in rounds[0]
        if what.startswith(kinds)
    }
    best = max(speeds, key=speeds.__getitem__)
    ratios = [each[auto]["samples_per_s"] / each[best]["samples_per_s"] for each in rounds]
    return {"best": best, **spread(ratios)}


def _ratios(rounds: list[dict[str, Figures]], what: str) -> dict[str, Any]:
    def over_plain(figure: str) -> dict[str, float]:
        return spread([each[what][figure] / each["plain fit"][figure] for each in rounds])

    return {
        "samples_per_s": spread([each[what]["samples_per_s"] for each in rounds]),
        "speed": over_plain("samples_per_s"),
        "cpu": over_plain("cpu_s_per_sample"),
        "accuracy": spread([each[what]["accuracy"] for each in rounds]),
    }


def _pytorch(given: dict[str, Any], cache: Path, seed: int) -> dict[str, Figures]:
    """The same model in PyTorch, where it is installed."""
    python = os.environ.get("TRAINWATT_BENCH_TORCH")
    if python is None and importlib.util.find_spec("torch") is None:
        return {}
    found = {}
    for precision in ("float32", "bfloat16"):
        done = subprocess.run(
            [
                python or sys.executable,
                str(Path(__file__).with_name("pytorch.py")),
                *(given["model_type"], str(given["batch_size"]), precision),
                *(str(EPOCHS), str(seed), str(cache / "mnist5k.npz")),
            ],
            stdout=subprocess.PIPE,
            check=True,
        )
        found[f"pytorch {precision}"] = json.loads(done.stdout)
    return found
