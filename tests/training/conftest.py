"""TensorFlow without its start-up lines, and the data sets loaded once for all tests."""

import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("datasets")


@pytest.fixture(autouse=True)
def any_threads(monkeypatch):
    """Many trainings run in this process, and TensorFlow cannot change its threads any more.

    That they are honoured is seen in a process of its own: test_run.py, preloaded_child.py.
    """
    import tensorflow as tf

    for name in ("set_intra_op_parallelism_threads", "set_inter_op_parallelism_threads"):
        monkeypatch.setattr(tf.config.threading, name, lambda _: None)
