"""Where a cluster lies, whose it is, and what is refused with a sentence."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.domain.errors import UsageError
from app.storage import cluster as place

ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="only root changes its user")


@pytest.fixture
def root_place(monkeypatch: pytest.MonkeyPatch, short_dir: Path) -> Path:
    monkeypatch.setattr(place, "ROOT_PLACE", short_dir / "elsewhere")
    return short_dir / "elsewhere"


def test_the_programs_are_of_the_version_that_is_expected() -> None:
    programs = place.bundled_programs()
    assert (programs / "initdb").is_file()
    assert place.POSTGRES_MAJOR == 18


def test_missing_programs_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "POSTGRES_MAJOR", 99)
    with pytest.raises(UsageError, match="install trainwatt again"):
        place.bundled_programs()


def test_the_cluster_lies_in_the_data_directory(short_dir: Path) -> None:
    found = place.locate(short_dir / "data")
    assert (found.directory, found.private) == (short_dir / "data" / "postgres", None)
    assert found.owner.uid != 0


@needs_root
def test_below_a_closed_directory_it_lies_elsewhere(short_dir: Path, root_place: Path) -> None:
    closed = short_dir / "home"
    closed.mkdir(mode=0o700)
    found = place.locate(closed / "data")
    assert found.private is not None
    assert found.directory == found.private / "postgres"
    assert found.private.parent == root_place
    assert place.locate(closed / "data") == found
    assert place.locate(closed / "data2").private != found.private
    assert closed.stat().st_mode & 0o777 == 0o700


@needs_root
def test_programs_that_its_user_cannot_reach_are_copied_once(
    short_dir: Path, root_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = short_dir / "home"
    closed.mkdir(mode=0o700)
    install = closed / "install"
    (install / "bin").mkdir(parents=True)
    shutil.copy("/bin/true", install / "bin" / "postgres")
    monkeypatch.setattr(place, "bundled_programs", lambda: install / "bin")
    found = place.locate(closed / "data")
    programs = place.programs_for(found)
    assert found.owner.may_enter(programs)
    assert found.private in programs.parents
    before = (programs / "postgres").stat()
    assert place.programs_for(found) == programs
    assert (programs / "postgres").stat() == before
    found.remove()
    assert list(root_place.iterdir()) == []


@needs_root
def test_copied_programs_find_their_libraries(
    short_dir: Path, root_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = short_dir / "home"
    closed.mkdir(mode=0o700)
    package = place.bundled_programs().parents[1]
    shutil.copytree(package, closed / package.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(libraries, closed / libraries.name, symlinks=True)
    programs = closed / package.name / f"pginstall{place.POSTGRES_MAJOR}" / "bin"
    monkeypatch.setattr(place, "bundled_programs", lambda: programs)
    found = place.locate(closed / "data")
    copied = place.programs_for(found)
    told = subprocess.run(
        [str(copied / "initdb"), "--version"], capture_output=True, text=True, check=True
    )
    assert f"PostgreSQL) {place.POSTGRES_MAJOR}" in told.stdout
    found.remove()


def test_a_user_without_a_name_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1_234_567)
    with pytest.raises(UsageError, match="user id 1234567 has no entry in /etc/passwd"):
        place.choose_owner()


def test_root_without_an_unprivileged_user_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(place, "OWNERS_FOR_ROOT", ("no-such-user",))
    with pytest.raises(UsageError, match="does not run as root"):
        place.choose_owner()


@pytest.fixture
def made(short_dir: Path) -> Iterator[place.Cluster]:
    """A directory where a cluster would be, owned as one would be."""
    found = place.locate(short_dir)
    found.directory.mkdir(mode=0o700)
    found.owner.take(found.directory)
    yield found


def test_a_directory_of_something_else_is_left_alone(made: place.Cluster) -> None:
    (made.directory / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="is not empty and holds no database of trainwatt"):
        place.prepare(made, place.programs_for(made))
    assert [path.name for path in made.directory.iterdir()] == ["thesis.tex"]


def test_a_cluster_of_another_version_is_a_sentence(made: place.Cluster) -> None:
    (made.directory / "PG_VERSION").write_text("16\n")
    with pytest.raises(UsageError, match=r"made by PostgreSQL 16 and .* brings 18"):
        place.prepare(made, place.programs_for(made))


@needs_root
def test_a_cluster_of_another_user_is_a_sentence(made: place.Cluster) -> None:
    (made.directory / "PG_VERSION").write_text("18\n")
    os.chown(made.directory, 1, 1)
    with pytest.raises(UsageError, match="belongs to user id 1 and would run as"):
        place.prepare(made, place.programs_for(made))


def test_a_file_where_the_data_directory_should_be(short_dir: Path) -> None:
    (short_dir / "file").write_text("")
    for path in (short_dir / "file", short_dir / "file" / "data"):
        with pytest.raises(UsageError, match="cannot be written .*choose another place"):
            place.locate(path)


def test_an_unwritable_data_directory_for_a_user(short_dir: Path) -> None:
    short_dir.chmod(0o555)
    code = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from app.domain.errors import UsageError\n"
        "from app.storage import cluster\n"
        "os.getuid() == 0 and (os.setgid(65534), os.setuid(65534))\n"
        "try: cluster.locate(Path(sys.argv[1]) / 'data')\n"
        "except UsageError as error: print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code, str(short_dir)], capture_output=True, text=True, check=True
    )
    short_dir.chmod(0o755)
    assert "cannot be written (Permission denied)" in told.stdout


def test_initdb_is_in_a_session_of_its_own(made: place.Cluster, short_dir: Path) -> None:
    programs = short_dir / "programs"
    programs.mkdir()
    (programs / "initdb").write_text("#!/bin/sh\nps -o sid= $$ >&2\nexit 1\n")
    (programs / "initdb").chmod(0o755)
    with pytest.raises(UsageError, match=r"\(\d+\)") as caught:
        place.prepare(made, programs)
    assert f"({os.getsid(0)})" not in str(caught.value)


@needs_root
def test_a_cluster_elsewhere_says_what_it_belongs_to(short_dir: Path, root_place: Path) -> None:
    closed = short_dir / "home"
    closed.mkdir(mode=0o700)
    found = place.locate(closed / "data")
    found.note()
    assert found.private is not None
    assert (found.private / place.NOTE).read_text() == f"{closed / 'data'}\n"
    found.remove()
    assert list(root_place.iterdir()) == []


def test_a_failed_initdb_says_its_last_error_and_leaves_nothing(
    made: place.Cluster, short_dir: Path
) -> None:
    programs = short_dir / "programs"
    programs.mkdir()
    (programs / "initdb").write_text(
        "#!/bin/sh\n"
        "echo 'creating subdirectories ... ok'\n"
        "echo 'initdb: error: could not write: No space left on device' >&2\n"
        "echo 'initdb: removing contents of data directory' >&2\n"
        "exit 1\n"
    )
    (programs / "initdb").chmod(0o755)
    with pytest.raises(UsageError, match=r"\(initdb: error: .* No space left on device\): make"):
        place.prepare(made, programs)
    assert {path.name for path in short_dir.iterdir()} == {"programs", "postgres"}


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("", "it said nothing"),
        ("a\n  b  \n\n", "b"),
        ("x FATAL:  no\nhint\n", "x FATAL:  no"),
        ("initdb: error: one\nPANIC:  two\nbye", "initdb: error: one"),
        ("ERROR:  one\nFATAL:  x: No space left on device\n", "FATAL:  x: No space left on device"),
        ("FATAL:  the database system is starting up\nPANIC:  two\n", "PANIC:  two"),
    ],
)
def test_the_last_error_of_a_program(output: str, expected: str) -> None:
    assert place.last_error(output) == expected


def test_the_environment_does_not_steer_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PATH_TO_X", "y")
    clean = place.clean_environment()
    assert "PGPORT" not in clean
    assert (clean["PATH_TO_X"], clean["LC_ALL"]) == ("y", "C")
