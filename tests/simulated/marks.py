"""The training process's own clock: when it asked for each boundary, and when it went on."""

import json
import os
import time
from pathlib import Path
from typing import Any

from app.worker import child
from app.worker.messages import Mark

FOLDER = "TRAINWATT_TEST_MARKS"  # the name of a variable, which the fork server inherits
_main = child.main


class Clocked:
    """The pipe to the worker; it notes the moments around every mark."""

    def __init__(self, pipe: Any, path: Path) -> None:
        """Nothing is asked yet."""
        self._pipe, self._path, self._note = pipe, path, {}

    def send(self, message: Any) -> None:
        """Pass it on; of a mark, note when."""
        if isinstance(message, Mark):
            self._note = {"begins": str(message.begins), "index": message.index}
            self._note["asked_s"] = time.monotonic()
        self._pipe.send(message)

    def recv(self) -> Any:
        """The answer to a mark: from here on the phase is the training's."""
        answer = self._pipe.recv()
        self._note["went_s"] = time.monotonic()
        with self._path.open("a") as file:
            file.write(json.dumps(self._note) + "\n")
        return answer


def main(pipe: Any, spec: Any, cache_dir: Path) -> None:
    """As the product's, with a clock on its pipe."""
    _main(Clocked(pipe, Path(os.environ[FOLDER])), spec, cache_dir)
