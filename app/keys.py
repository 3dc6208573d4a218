"""The API key, as Jupyter does it: none needed on loopback, always one elsewhere."""

import os
import re
import secrets
import tempfile
from pathlib import Path

from app.domain.errors import UsageError
from app.settings import Settings

KEY_FILE = "api_key"
KEY_BYTES = 32  # of randomness; 43 characters


def needed_key(settings: Settings) -> str | None:
    """The key that requests must carry: the given one, else one made at the first start.

    Null on loopback where none is given. The made one is kept in the data directory, readable by
    its owner alone, and is the same at every later start.

    Raises:
        UsageError: the key file cannot be read or written.
    """
    if settings.api_key is not None:
        return settings.api_key
    if settings.loopback:
        return None
    path = settings.data_dir / KEY_FILE
    try:
        return _read(path) or _make(path)
    except OSError as error:
        raise UsageError(
            f"the key file {path} cannot be used ({error.strerror}): choose another data "
            "directory with TRAINWATT_DATA_DIR, or give a key with TRAINWATT_API_KEY"
        ) from error


def kept_key(data_dir: Path) -> str | None:
    """The key that a service of this data directory has made; null where it has not."""
    try:
        return _read(data_dir / KEY_FILE)
    except (OSError, UsageError):  # it is not ours, or holds none
        return None


def _read(path: Path) -> str | None:
    if not path.exists():
        return None
    text = path.read_text(errors="replace").strip()
    if text and not re.fullmatch(r"[!-~]+", text):
        raise UsageError(
            f"the key file {path} holds no key (one line of printable ASCII): delete it, and the "
            "next start makes another"
        )
    return text or None


def _make(path: Path) -> str:
    """Write a new key beside and link it into place, so that two starts agree on one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=KEY_FILE)  # mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(KEY_BYTES) + "\n")
        try:
            os.link(beside, path)
        except FileExistsError:  # another start was first: its key counts, unless it was cut
            if not path.read_text(errors="replace").strip():
                os.replace(beside, path)
    finally:
        Path(beside).unlink(missing_ok=True)
    return path.read_text().strip()
