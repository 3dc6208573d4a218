"""What each `auto` of a spec's execution becomes here, and how it is put into force."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import keras
import tensorflow as tf

from app.domain.specs import JobSpec
from app.metering.host import cpu_flags, usable_cpus
from app.workloads import catalogue

Mode = Literal["graph", "keras_fit"]
Precision = Literal["float32", "mixed_bfloat16"]
Pipeline = Literal["memory", "tf_data"]

STEPS_OF_LARGE, STEPS_OF_SMALL = 16, 64  # of one call, by the work of a step
LARGE_FLOPS = 6e7  # of a step, from which threads win
HALF_FLOPS = 1e8  # of a step's convolutions, from which half precision wins
CONVOLUTIONS = frozenset({"Conv1D", "Conv2D", "SeparableConv2D"})
RECURRENT = frozenset({"LSTM", "GRU", "SimpleRNN"})
AMPERE = (8, 0)
BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})  # as Linux names them


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


def put_into_force(settings: Settings) -> None:
    """Threads and precision of this process, before TensorFlow's first op.

    Raises:
        RuntimeError: TensorFlow has run an op with another number of threads already.
    """
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


def _best(spec: JobSpec) -> Settings:
    """What the benches found best; on a GPU, what is known to be good but not measured here.

    Handing a product out to threads costs more than it wins where the product is small; the loop of
    an LSTM on the CPU is one operation of one thread. Of half precision, convolutions win most:
    dense layers at batch 32 wait for their weights.
    """
    by_keras = catalogue.family_of(spec).trainer == "keras"
    here = on_the_cpu()
    side_by_side = _work_flops(spec, lambda kind: not (here and kind == "LSTM"))
    by_trees = not by_keras and spec.model_type != "svm"  # whose samples follow one another
    large = by_trees or (by_keras and side_by_side >= LARGE_FLOPS)
    halved = _work_flops(spec, lambda kind: not here or kind in CONVOLUTIONS)
    half = by_keras and halved >= HALF_FLOPS and _has_bfloat16()
    return Settings(
        mode="graph",
        precision="mixed_bfloat16" if half else "float32",
        jit_compile=not here and not _recurrent(spec),
        steps_per_execution=STEPS_OF_LARGE if large else STEPS_OF_SMALL,
        input_pipeline="memory",
        threads=usable_cpus() if large or (by_keras and not here) else 1,
    )


def _recurrent(spec: JobSpec) -> bool:
    """Whether a layer has a time loop, which cuDNN runs as a whole and XLA cannot."""
    return any(layer.kind in RECURRENT for layer in catalogue.plan(spec))


def _work_flops(spec: JobSpec, counts: Callable[[str], bool]) -> float:
    """FLOPs of a training step that can run side by side: of one time step, in a time loop.

    Args:
        spec: what is trained.
        counts: whether the layers of a kind are meant.
    """
    layers = {layer.name: layer for layer in catalogue.plan(spec)}
    return spec.batch_size * sum(
        (layer.flops_forward + layer.flops_backward)
        / (layers[layer.inputs[0]].output_shape[0] if layer.kind in RECURRENT else 1)
        for layer in layers.values()
        if counts(layer.kind)
    )


def _has_bfloat16() -> bool:
    """Whether the hardware multiplies in bfloat16: AVX512-BF16, AMX, Arm, a GPU since Ampere."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
        return all(each.get("compute_capability", (0, 0)) >= AMPERE for each in details)
    return bool(cpu_flags() & BFLOAT16_FLAGS)
