"""What the worker tells the processes that it starts, by their environment."""

WORKER_PID = "TRAINWATT_WORKER_PID"  # the fork server ends where this is not its parent

# What keeps the fork server at one thread, so that it can be forked from.
FORK_SERVER = {
    "OPENBLAS_NUM_THREADS": "1",  # else importing SciPy starts pools of threads
    # pandas imports pyarrow where it is installed, whose allocator starts a thread of its own
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
