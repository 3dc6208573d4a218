"""Logs: one line a record on stderr, and one JSON object in a rotated file."""

import asyncio
import contextlib
import json
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
    before, level, raising = root.handlers[:], root.level, logging.raiseExceptions
    root.handlers = []
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers = before
    root.setLevel(level)
    logging.captureWarnings(False)
    logging.raiseExceptions = raising


def _records(settings, process="api"):
    text = (settings.log_dir / f"{process}.log").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_one_line_a_record_on_stderr_and_one_object_in_the_file(tmp_path, capfd):
    settings = Settings(data_dir=tmp_path)
    logs.configure("api", settings)
    logger = logging.getLogger("app.x")
    logger.info("two\nlines of %s", "µJ\x1b[31m\u2028\ud800")
    try:
        raise ValueError("why")
    except ValueError:
        logger.exception("it failed")
    logger.debug("not asked for")
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(LINE.fullmatch(line) for line in lines)
    assert lines[0].endswith(r"INFO api app.x: two\nlines of µJ\x1b[31m\u2028\ud800")
    assert lines[1].endswith(r"\nValueError: why")
    info, error = _records(settings)
    assert list(info) == ["time", "level", "process", "logger", "message"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", info.pop("time"))
    assert info == {
        "level": "INFO",
        "process": "api",
        "logger": "app.x",
        "message": "two\nlines of µJ\x1b[31m\u2028\ud800",
    }
    assert error["message"] == "it failed"
    assert error["exception"].endswith("ValueError: why")


def test_what_a_record_is_about_stands_in_it(tmp_path):
    settings = Settings(data_dir=tmp_path)
    logs.configure("api", settings)
    logger = logging.getLogger("app.x")
    with logs.about(request_id="r1"):
        with logs.about(job_id="j1"):
            logger.info("both", extra={"duration_ms": 1.5, "color_message": "\x1b"})
        logger.info("one")
    logger.info({"none": 1})
    both, one, none = _records(settings)
    assert (both["request_id"], both["job_id"], both["duration_ms"]) == ("r1", "j1", 1.5)
    assert "color_message" not in both
    assert (one["request_id"], "job_id" in one) == ("r1", False)
    assert not {"request_id", "job_id", "exception"} & set(none)
    assert none["message"] == "{'none': 1}"


async def test_what_runs_at_the_same_time_is_not_mixed_up(tmp_path):
    settings = Settings(data_dir=tmp_path)
    logs.configure("api", settings)

    async def request(name):
        with logs.about(request_id=name):
            await asyncio.sleep(0)
            await asyncio.to_thread(logging.getLogger("app.x").info, name)

    await asyncio.gather(*(request(f"r{n}") for n in range(9)))
    records = _records(settings)
    assert len(records) == 9
    assert all(record["request_id"] == record["message"] for record in records)


def test_a_full_disk_neither_raises_nor_floods_stderr(tmp_path, capfd):
    settings = Settings(data_dir=tmp_path)
    settings.log_dir.mkdir()
    (settings.log_dir / "api.log").symlink_to("/dev/full")
    logs.configure("api", settings)
    for number in range(3):
        logging.getLogger("app.x").info("record %s", number)
    assert [line[-8:] for line in capfd.readouterr().err.splitlines()] == [
        f"record {number}" for number in range(3)
    ]
    rotated, _ = logging.getLogger().handlers
    with contextlib.suppress(OSError):
        rotated.stream.close()  # what it could not write is in its buffer
    rotated.stream = None


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
