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

    The descriptions are the table of docs/reference/settings.md (`make docs-reference`).
    """

    model_config = SettingsConfigDict(
        env_prefix="TRAINWATT_", frozen=True, extra="ignore", allow_inf_nan=False
    )

    # where it serves and keeps its data
    host: str = Field(
        default="127.0.0.1", description="address to serve on; off loopback a key is needed"
    )
    port: int = Field(
        default=8000, ge=0, le=65_535, description="port to serve on; 0: any free one"
    )
    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("trainwatt")),
        description="database, logs, cached data sets",
    )
    database_url: str | None = Field(
        default=None,
        description="a PostgreSQL instead of the embedded one (tested: 18, and 17 in the compose "
        "stack): `postgresql://user:password@host/name`",
    )

    # how a client finds it
    url: str = Field(
        default="http://127.0.0.1:8000", description="where the command line finds the service"
    )
    api_key: str | None = Field(
        default=None, description="key that the service asks for and the command line sends"
    )

    # how runs are priced where the spec does not say
    country_iso_code: str | None = Field(
        default=None,
        pattern=r"^[A-Z]{3}$",
        description="country that prices a run whose spec names none, as `FRA`",
    )
    region: str | None = Field(
        default=None,
        description="its region, where there is a table of regions (USA, CAN, CHN, SWE, NOR, FIN)",
    )

    # the worker
    host_name: str = Field(
        default_factory=socket.gethostname, description="how the worker's host is called"
    )
    labels: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="labels that the worker takes jobs for, as `gpu,fast`"
    )
    host_lock: Path = Field(
        default_factory=lambda: _lock_folder() / "trainwatt-host.lock",
        description="file that keeps two workers of one host from measuring at once",
    )
    sample_interval_s: float = Field(
        default=1.0, ge=0.05, le=10, description="seconds between readings"
    )
    heartbeat_s: float = Field(
        default=10, gt=0, le=600, description="seconds between a worker's signs of life"
    )
    lease_s: float = Field(
        default=30,
        gt=0,
        le=3600,
        validate_default=True,
        description="seconds without a sign of life after which a worker counts as gone; at least "
        "twice `TRAINWATT_HEARTBEAT_S`. A worker whose database is away for half of it ends its "
        "training and itself (exit code 3)",
    )
    sweep_interval_s: float = Field(
        default=5,
        gt=0,
        le=600,
        description="seconds between looks for jobs whose worker is gone",
    )
    max_attempts: int = Field(
        default=3,
        ge=1,
        le=100,
        description="attempts of a job whose worker is lost each time",
    )
    drain: bool = Field(
        default=False,
        description="a worker alone finishes its job at SIGTERM or Ctrl-C before it ends, and "
        "takes no other; a second signal puts the job back. Under `serve` it has no effect",
    )

    # a quiet host, and its idle power
    quiet_wait_s: float = Field(
        default=10,
        ge=0,
        le=10,
        description="how long a job waits at most for a quiet host and for its first idle power "
        "(stage `waiting_for_quiet`), 0 to 10 s. 0: it never waits, and the report still says how "
        "busy others were",
    )
    baseline_window_s: float = Field(
        default=60, ge=1, le=3600, description="length of the idle window, 1 to 3600 s"
    )
    baseline_short_s: float = Field(
        default_factory=lambda before: min(SHORT_S, before.get("baseline_window_s", SHORT_S)),
        ge=1,
        le=10,
        description="length of the window that a job waits for where no idle power is known yet, "
        "1 to 10 s; longer than `TRAINWATT_QUIET_WAIT_S`: it does not get it",
    )
    baseline_max_age_s: float = Field(
        default=86_400,
        gt=0,
        description="age after which the idle power is measured again, between jobs",
    )

    # what the user knows of the host better than it shows
    cpu_tdp_w: float | None = Field(
        default=None,
        ge=1,
        le=2000,
        description="rated power of one CPU socket, 1 to 2000 W, where it is known better than "
        "codecarbon knows it; in a virtual machine `TRAINWATT_SOCKET_THREADS` is needed too, "
        "unless the CPU's name tells it",
    )
    socket_threads: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="hardware threads of one CPU socket, from which a virtual machine's share of "
        "it follows",
    )
    cpu_generation: Generation | None = Field(
        default=None,
        description="the CPU's generation: `naples`, `rome`, `milan`, `genoa`, `turin`, `skylake` "
        "(Cascade Lake too), `ice-lake`, `sapphire-rapids`, `emerald-rapids` or `xeon-6`",
    )
    vcpu_is_core: bool | None = Field(
        default=None,
        description="`true`: a virtual machine's CPU is a whole core, so two threads; `false`: it "
        "is a thread; unset: the interval holds both",
    )
    wall_factor: float | None = Field(
        default=None,
        ge=1,
        le=3,
        description="energy at the plug over that of the components, as a wall meter showed it; "
        "without it 1.33 within 1.15–1.55",
    )

    # set by `trainwatt serve` for the processes that it starts
    supervised: bool = Field(default=False, description="set by `serve` for its parts; not for you")

    # limits and logs
    max_queued_jobs: int = Field(
        default=10_000, ge=1, description="jobs that may wait; more are answered with 429"
    )
    max_experiment_jobs: int = Field(
        default=200, ge=1, le=10_000, description="jobs of one experiment, all repeats counted"
    )
    max_dataset_mib: int = Field(
        default=256,
        ge=1,
        le=4096,
        description="longest `.npz` of a data set of your own, 1 to 4096 MiB; its arrays may take "
        "four times as much",
    )
    max_datasets_total_mib: int = Field(
        default=16_384,
        ge=1,
        description="how long the files of all data sets of your own may be together, as they were "
        "uploaded; an upload beyond it is answered with 413 until one is deleted",
    )
    dataset_cache_mib: int = Field(
        default=2048,
        ge=1,
        description="how much of users' data sets a worker keeps in `cache/` of its data "
        "directory; the longest unused go first, never the one in use",
    )
    log_level: str = Field(
        default="INFO",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="`DEBUG`, `INFO`, `WARNING` or `ERROR`",
    )

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
