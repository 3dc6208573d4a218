"""Logs: one line a record with time, level and process, on stderr and in a rotated file."""

import logging
import re

import pytest

from app import logs
from app.domain.errors import UsageError
from app.settings import Settings

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO|ERROR|WARNING) api [\w.]+: .+")


@pytest.fixture(autouse=True)
def _as_before():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers = []
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers = before
    root.setLevel(level)
    logging.captureWarnings(False)


def test_one_line_a_record_on_stderr_and_in_the_file(tmp_path, capfd):
    settings = Settings(data_dir=tmp_path)
    logs.configure("api", settings)
    logger = logging.getLogger("app.x")
    logger.info("two\nlines of %s", "µJ\x1b[31m")
    try:
        raise ValueError("why")
    except ValueError:
        logger.exception("it failed")
    logger.debug("not asked for")
    lines = (settings.log_dir / "api.log").read_text().splitlines()
    assert len(lines) == 2
    assert all(LINE.fullmatch(line) for line in lines)
    assert lines[0].endswith(r"INFO api app.x: two\nlines of µJ\x1b[31m")
    assert lines[1].endswith(r"\nValueError: why")
    assert capfd.readouterr().err.splitlines() == lines


def test_a_second_call_takes_the_place_of_the_first(tmp_path, capfd):
    for _ in range(2):
        logs.configure("api", Settings(data_dir=tmp_path))
    logging.getLogger("app.x").warning("once")
    assert len(capfd.readouterr().err.splitlines()) == 1


def test_a_part_of_serve_writes_to_its_file_alone(tmp_path, capfd):
    settings = Settings(data_dir=tmp_path, supervised=True)
    logs.configure("api", settings)
    logging.getLogger("app.x").warning("once")
    assert capfd.readouterr().err == ""
    assert "once" in (settings.log_dir / "api.log").read_text()


def test_the_file_is_rotated(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "MAX_BYTES", 200)
    settings = Settings(data_dir=tmp_path)
    logs.configure("api", settings)
    for number in range(40):
        logging.getLogger("app.x").info("record %s", number)
    files = sorted(path.name for path in settings.log_dir.iterdir())
    assert files == ["api.log", *(f"api.log.{n}" for n in range(1, logs.KEPT_FILES + 1))]
    assert all(path.stat().st_size <= 200 for path in settings.log_dir.iterdir())


def test_the_level_is_the_settings(tmp_path):
    logs.configure("api", Settings(data_dir=tmp_path, log_level="ERROR"))
    assert not logging.getLogger("app.x").isEnabledFor(logging.WARNING)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="TRAINWATT_DATA_DIR"):
        logs.configure("api", Settings(data_dir=tmp_path / "file"))
