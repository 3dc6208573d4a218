"""What a host can do at most, as a product of two large matrices shows: FLOP/s by precision."""

import time

import tensorflow as tf

SIDES = (512, 1024, 2048, 4096, 8192)
ENOUGH_S = 0.02  # a product that takes so long has hidden what it costs to start one
REPEATS = 4

PRECISIONS = ("float32", "bfloat16")


def matmul_flops_per_s() -> dict[str, float]:
    """The best of a few products for each precision, with the threads that TensorFlow takes.

    FLOPs are 2 × side³ (a multiply and an add for each term). The side grows until a product takes
    ENOUGH_S, so that a GPU gets large ones.
    """
    return {precision: _best(precision) for precision in PRECISIONS}


def _best(precision: str) -> float:
    best = 0.0
    for side in SIDES:
        ones = tf.ones([side, side], precision)
        taken_s = min(_seconds(ones) for _ in range(REPEATS))
        best = max(best, 2 * side**3 / taken_s)
        if taken_s > ENOUGH_S:
            break
    return best


def _seconds(ones: "tf.Tensor") -> float:
    began_s = time.perf_counter()
    tf.linalg.matmul(ones, ones)[0, 0].numpy()  # waits for the product, and copies one value
    return time.perf_counter() - began_s
