"""Inside the training process: no meter here, only marks that wait for the worker's reading."""

import os
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from app.domain.errors import SpecError, TrainingError
from app.domain.readings import Phase
from app.domain.specs import JobSpec
from app.parent import die_with_parent
from app.worker.messages import Failure, Mark, Step

STEP_PERIOD_S = 1.0


def main(pipe: Connection, spec: JobSpec, cache_dir: Path) -> None:
    """Train as the spec says; every outcome is a message, then the process ends."""
    _detach()
    last_step_s = 0.0

    def mark(begins: Phase, index: int | None, ended: dict[str, Any]) -> None:
        pipe.send(Mark(begins=begins, index=index, ended=ended))
        pipe.recv()

    def progress(epoch: int, step: int, steps: int) -> None:
        nonlocal last_step_s
        now_s = time.monotonic()
        if now_s - last_step_s >= STEP_PERIOD_S:
            last_step_s = now_s
            pipe.send(Step(epoch=epoch, step=step, steps=steps))

    if failure := attempt(lambda train: train(spec, mark, progress, cache_dir)):
        pipe.send(failure)
        raise SystemExit(1)


def warm(pipe: Connection) -> None:
    """Answer whether the fork server has imported TensorFlow and runs one thread only.

    The server has read the preload module by the time it forks; an import that failed there is
    swallowed by multiprocessing and shows only here.
    """
    _detach()
    threads = len(os.listdir(f"/proc/{os.getppid()}/task"))
    pipe.send({"tensorflow": "tensorflow" in sys.modules, "threads": threads})


def peak(pipe: Connection) -> None:
    """Answer what the host computes at most, in FLOP/s by precision."""
    _detach()
    from app.training.peak import matmul_flops_per_s

    pipe.send(matmul_flops_per_s())


def attempt(run: Callable[[Callable[..., None]], None]) -> Failure | None:
    """Run with the trainer, and put what it raised into a code and a sentence."""
    try:
        from app.training.run import train

        run(train)
    except TrainingError as error:
        return Failure(code=error.code, message=str(error))
    except SpecError as error:
        return Failure(code="bad_spec", message=str(error))
    except MemoryError:
        return Failure(code="out_of_memory", message="the training process ran out of memory")
    except Exception as error:
        return _from_framework(error)
    return None


def _from_framework(error: Exception) -> Failure:
    """An exception of TensorFlow or Keras; its name tells an exhausted device from a mistake."""
    name = type(error).__name__
    code = "out_of_memory" if name == "ResourceExhaustedError" else "training_error"
    return Failure(code=code, message=f"{name}: {str(error)[:2000]}")


def _detach() -> None:
    """Die with the fork server; leave Ctrl-C and SIGTERM to the worker."""
    from app.worker import preload  # the server has it; the worker must not import it

    die_with_parent(parent=preload.PID)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
