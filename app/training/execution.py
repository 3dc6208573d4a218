"""What each `auto` of a spec's execution becomes here, and how it is put into force."""

from dataclasses import dataclass
from typing import Any, Literal

import keras
import tensorflow as tf

from app.domain.specs import Execution, JobSpec
from app.metering import container
from app.metering.host import usable_cpus

Mode = Literal["graph", "keras_fit"]
Precision = Literal["float32", "mixed_bfloat16"]
Pipeline = Literal["memory", "tf_data"]

AUTO_STEPS_PER_EXECUTION = 16


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a training is run, with no `auto` left."""

    mode: Mode
    precision: Precision
    jit_compile: bool
    steps_per_execution: int
    input_pipeline: Pipeline
    threads: int

    def facts(self) -> dict[str, Any]:
        """What the report says of it."""
        return {
            "tensorflow": tf.__version__,
            "threads": self.threads,
            "mode": self.mode,
            "precision": self.precision,
            "jit_compile": self.jit_compile,
            "steps_per_execution": self.steps_per_execution,
            "input_pipeline": self.input_pipeline,
        }


def resolve(spec: JobSpec) -> Settings:
    """What the spec asks for, and for each `auto` what is best by measurement.

    In `keras_fit`, `auto` is what Keras does by itself: a step at a time from arrays, in float32,
    compiled by XLA where there is an accelerator.
    """
    asked = spec.execution
    auto = _keras_itself() if asked.mode == "keras_fit" else _best(spec)
    return Settings(
        mode=asked.mode,
        precision=auto.precision if asked.precision == "auto" else asked.precision,
        jit_compile=auto.jit_compile if asked.jit_compile == "auto" else asked.jit_compile,
        steps_per_execution=(
            auto.steps_per_execution
            if asked.steps_per_execution == "auto"
            else asked.steps_per_execution
        ),
        input_pipeline=(
            auto.input_pipeline if asked.input_pipeline == "auto" else asked.input_pipeline
        ),
        threads=auto.threads if asked.threads == "auto" else asked.threads,
    )


def put_into_force(settings: Settings, asked: Execution) -> None:
    """Threads and precision of this process, before TensorFlow's first op.

    TensorFlow takes a thread for each CPU by itself; where a control group allows less time than
    that, `auto` takes as many as it allows.

    Raises:
        RuntimeError: TensorFlow has run an op with another number of threads already.
    """
    if asked.threads != "auto" or container.cpu_quota() is not None:
        tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
        tf.config.threading.set_inter_op_parallelism_threads(settings.threads)
    keras.config.set_dtype_policy(settings.precision)


def on_the_cpu() -> bool:
    """Whether TensorFlow has no accelerator here."""
    return not tf.config.list_physical_devices("GPU")


def _keras_itself() -> Settings:
    return Settings(
        mode="keras_fit",
        precision="float32",
        jit_compile=not on_the_cpu(),
        steps_per_execution=1,
        input_pipeline="memory",
        threads=usable_cpus(),
    )


def _best(spec: JobSpec) -> Settings:  # noqa: ARG001
    return Settings(
        mode="graph",
        precision="float32",
        jit_compile=False,
        steps_per_execution=AUTO_STEPS_PER_EXECUTION,
        input_pipeline="memory",
        threads=usable_cpus(),
    )
