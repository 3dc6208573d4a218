"""Trains in a child of a fork server that has preloaded the room, as the worker does; prints JSON.

Run as a script, in a process of its own: `python preloaded_child.py CACHE_DIR SPEC_JSON`.
"""

import json
import multiprocessing
import os
import sys
from pathlib import Path

from app.worker.environment import FORK_SERVER


def child(pipe, spec_json, cache_dir):
    threads = len(os.listdir(f"/proc/{os.getppid()}/task"))
    preloaded = "tensorflow" in sys.modules
    from app.domain.specs import JobSpec
    from app.training.run import train

    facts = {}
    spec = JobSpec.model_validate_json(spec_json)
    train(spec, lambda _, __, ended: facts.update(ended), lambda *_: None, Path(cache_dir))
    import tensorflow as tf

    pipe.send(
        {
            **facts,
            "server_threads": threads,
            "preloaded": preloaded,
            "intra": tf.config.threading.get_intra_op_parallelism_threads(),
            "inter": tf.config.threading.get_inter_op_parallelism_threads(),
        }
    )


if __name__ == "__main__":
    os.environ.update(FORK_SERVER)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["app.training.run"])
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=child, args=(there, sys.argv[2], sys.argv[1]), daemon=True)
    process.start()
    there.close()
    print(json.dumps(here.recv()))  # noqa: T201
    process.join()
