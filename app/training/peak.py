"""What a host can do at most, as a product of two large matrices shows: FLOP/s by precision."""

import time

import tensorflow as tf

from app.metering.host import usable_cpus

SIDES = (512, 1024, 2048, 4096, 8192)
ENOUGH_S = 0.05  # a product that takes so long has hidden what it costs to start one
REPEATS = 4
LONG_S = 0.5  # for which the last ones are repeated: the load of others comes and goes

PRECISIONS = ("float32", "bfloat16")


def matmul_flops_per_s() -> dict[str, float]:
    """The best of a few large products for each precision, with a thread for each CPU.

    FLOPs are 2 × side³ (a multiply and an add for each term). The side grows until a product takes
    ENOUGH_S, so that a GPU gets large ones; those of the last side count. A control group's quota
    of CPU time would let shorter ones run faster than it allows for long.
    """
    threads = usable_cpus()
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    return {precision: _best(precision) for precision in PRECISIONS}


def _best(precision: str) -> float:
    for side in SIDES:
        ones = tf.ones([side, side], precision)
        taken_s = min(_seconds(ones) for _ in range(REPEATS))
        if taken_s > ENOUGH_S:
            break
    more = int(LONG_S / taken_s)
    return 2 * side**3 / min([taken_s, *(_seconds(ones) for _ in range(more))])


def _seconds(ones: "tf.Tensor") -> float:
    began_s = time.perf_counter()
    tf.linalg.matmul(ones, ones)[0, 0].numpy()  # waits for the product, and copies one value
    return time.perf_counter() - began_s
