"""One frozen settings object, read from `TRAINWATT_…` environment variables."""

import os
import re
import socket
import tempfile
from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.domain.errors import UsageError
from app.domain.readings import Generation, KnownFacts

SECRETS = frozenset({"api_key", "database_url"})  # never repeated in an error
SHORT_S = 5.0  # the short idle window, unless the whole one is shorter


class Settings(BaseSettings):
    """Every setting of the service, the worker and the command line.

    The README lists each with its variable; a test holds that list.
    """

    model_config = SettingsConfigDict(
        env_prefix="TRAINWATT_", frozen=True, extra="ignore", allow_inf_nan=False
    )

    # where it serves and keeps its data
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    data_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("trainwatt")))
    database_url: str | None = None

    # how a client finds it
    url: str = "http://127.0.0.1:8000"
    api_key: str | None = None

    # how runs are priced where the spec does not say
    country_iso_code: Annotated[str | None, Field(pattern=r"^[A-Z]{3}$")] = None
    region: str | None = None

    # the worker
    host_name: str = Field(default_factory=socket.gethostname)
    labels: Annotated[tuple[str, ...], NoDecode] = ()
    host_lock: Path = Field(default_factory=lambda: _lock_folder() / "trainwatt-host.lock")
    sample_interval_s: Annotated[float, Field(ge=0.05, le=10)] = 1.0
    heartbeat_s: Annotated[float, Field(gt=0, le=600)] = 10
    lease_s: Annotated[float, Field(gt=0, le=3600, validate_default=True)] = 30
    sweep_interval_s: Annotated[float, Field(gt=0, le=600)] = 5
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 3
    drain: bool = False

    # a quiet host, and its idle power
    quiet_wait_s: Annotated[float, Field(ge=0, le=10)] = 10
    baseline_window_s: Annotated[float, Field(ge=1, le=3600)] = 60
    baseline_short_s: Annotated[float, Field(ge=1, le=10)] = Field(
        default_factory=lambda before: min(SHORT_S, before.get("baseline_window_s", SHORT_S))
    )
    baseline_max_age_s: Annotated[float, Field(gt=0)] = 86_400

    # what the user knows of the host better than it shows
    cpu_tdp_w: Annotated[float | None, Field(ge=1, le=2000)] = None
    socket_threads: Annotated[int | None, Field(ge=1, le=4096)] = None
    cpu_generation: Generation | None = None
    vcpu_is_core: bool | None = None
    wall_factor: Annotated[float | None, Field(ge=1, le=3)] = None

    # set by `trainwatt serve` for the processes that it starts
    supervised: bool = False

    # limits and logs
    max_queued_jobs: Annotated[int, Field(ge=1)] = 10_000
    max_dataset_mib: Annotated[int, Field(ge=1, le=4096)] = 256
    max_datasets_total_mib: Annotated[int, Field(ge=1)] = 16_384
    dataset_cache_mib: Annotated[int, Field(ge=1)] = 2048
    log_level: Annotated[str, Field(pattern="^(DEBUG|INFO|WARNING|ERROR)$")] = "INFO"

    @field_validator("api_key", "database_url", *KnownFacts.model_fields, mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        return value.strip() or None if isinstance(value, str) else value

    @field_validator("host_name", "host_lock", mode="before")
    @classmethod
    def _says_something(cls, value: object) -> object:
        if isinstance(value, str) and not value.strip():
            raise ValueError("expected a text that is not empty; unset it for the default")
        return value

    @field_validator("api_key")
    @classmethod
    def _fits_a_header(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[!-~]{8,}", value):
            raise ValueError("expected at least 8 printable ASCII characters without spaces")
        return value

    @field_validator("lease_s")
    @classmethod
    def _outlasts_heartbeats(cls, value: float, info: ValidationInfo) -> float:
        heartbeat_s = info.data.get("heartbeat_s")
        if heartbeat_s is not None and value < 2 * heartbeat_s:
            raise ValueError(f"expected at least twice TRAINWATT_HEARTBEAT_S ({heartbeat_s:g} s)")
        return value

    @field_validator("cpu_generation", mode="before")
    @classmethod
    def _in_small_letters(cls, value: object) -> object:
        return value.strip().lower() if isinstance(value, str) else value

    @field_validator("baseline_short_s")
    @classmethod
    def _fits_into_the_window(cls, value: float, info: ValidationInfo) -> float:
        window_s = info.data.get("baseline_window_s")
        if window_s is not None and value > window_s:
            raise ValueError(f"expected at most TRAINWATT_BASELINE_WINDOW_S ({window_s:g} s)")
        return value

    @field_validator("labels", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(label.strip() for label in value.split(",") if label.strip())
        return value

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return self.host in {"127.0.0.1", "::1", "localhost"}

    def given_database_url(self) -> str:
        """The database of a part that has none of its own, as a worker alone.

        Raises:
            UsageError: none is given.
        """
        if self.database_url is None:
            raise UsageError(
                "a worker alone needs a database: set TRAINWATT_DATABASE_URL, "
                "or run `trainwatt serve`, which brings its own"
            )
        return self.database_url

    def known_facts(self) -> KnownFacts:
        """What the user knows of the host better than it shows."""
        return KnownFacts(**{name: getattr(self, name) for name in KnownFacts.model_fields})

    @property
    def log_dir(self) -> Path:
        """Where the rotated logs of every process lie."""
        return self.data_dir / "logs"


def _lock_folder() -> Path:
    """Where every user of the host can lock: a folder that no cleaner of old files looks into."""
    shared = Path("/run/lock")
    return shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())


def load(**overrides: object) -> Settings:
    """Settings from the environment, arguments of the command line on top (null: not given).

    Raises:
        UsageError: a variable or an argument is out of its range.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "settings"
        told = "what is not repeated here" if field in SECRETS else repr(first["input"])
        cure = "; unset it if you do not know better" if field in KnownFacts.model_fields else ""
        finite = "expected a finite number"
        message = finite if first["type"] == "finite_number" else first["msg"]
        raise UsageError(f"TRAINWATT_{field.upper()}: {message}, received {told}{cure}") from None
