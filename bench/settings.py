"""What `auto` becomes against the best setting that was tried, for every family and many sizes."""

import tempfile
from pathlib import Path
from typing import Any

from app.metering.host import usable_cpus
from bench.record import spread
from bench.training import IMAGES, SERIES, Figures, fork_server, over_the_bests, say, take_turns

ROUNDS = 2
EPOCHS = 3  # the first of each is left out
FEWER = {"samples": 1000}  # where an epoch of all samples takes many seconds
WORKLOADS: dict[str, dict[str, Any]] = {  # at batch 32
    f"{model} {size}": {"model_type": model, "size": size, "dataset": data}
    for model, size, data in (
        ("cnn", "tiny", IMAGES),
        ("cnn", "small", IMAGES),
        ("cnn", "large", IMAGES | FEWER),
        ("mlp", "tiny", IMAGES),
        ("mlp", "large", IMAGES),
        ("resnet", "tiny", IMAGES | FEWER),
        ("rnn", "large", SERIES | FEWER),
        ("gru", "base", SERIES | FEWER),
        ("attention", "large", SERIES),
        ("transformer", "tiny", SERIES | FEWER),
        ("transformer", "small", SERIES | FEWER),
        ("svm", "base", IMAGES),
        ("random_forest", "base", IMAGES),
    )
}


def _settings(model: str) -> dict[str, dict[str, Any]]:
    one, all_ = {"threads": 1}, {"threads": usable_cpus()}
    by_threads = {"float32, 1 thread": one, "float32, all threads": all_}
    if model in ("svm", "random_forest"):
        return {"auto float32": {}, "auto": {"precision": "auto"}, **by_threads}
    half = {"precision": "mixed_bfloat16"}
    return {
        "auto float32": {},
        "auto": {"precision": "auto"},
        **by_threads,
        "float32, 1 thread, 64 steps": {**one, "steps_per_execution": 64},
        "bfloat16, 1 thread": {**one, **half},
        "bfloat16, all threads": {**all_, **half},
    }


def run() -> dict[str, object]:
    """Every workload in turn."""
    found = {}
    with tempfile.TemporaryDirectory() as cache, fork_server() as context:
        for name, given in WORKLOADS.items():
            rounds: list[dict[str, Figures]] = []
            for seed in range(ROUNDS):
                spec = {**given, "epochs": EPOCHS, "seed": seed}
                tried = _settings(given["model_type"])
                rounds.append(take_turns(context, spec, tried, Path(cache)))
                say(name, seed, rounds[-1])
            found[name] = {
                **over_the_bests(rounds),
                **{
                    what: {
                        "samples_per_s": spread([each[what]["samples_per_s"] for each in rounds]),
                        "cpu_s_per_sample": spread(
                            [each[what]["cpu_s_per_sample"] for each in rounds]
                        ),
                    }
                    for what in rounds[0]
                },
            }
    return {
        "what": f"samples a second and CPU-seconds a sample of the epochs after the first,"
        f" {ROUNDS} rounds in turn; auto over the best as the ratio of speeds within a round",
        "workloads": found,
    }
