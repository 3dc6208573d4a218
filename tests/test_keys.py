"""When a key is needed, and how a made one is kept."""

import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app import settings
from app.domain.errors import UsageError
from app.keys import KEY_FILE, needed_key


def test_on_loopback_none_is_needed(tmp_path):
    assert needed_key(settings.load(host="127.0.0.1", data_dir=tmp_path)) is None
    assert not (tmp_path / KEY_FILE).exists()


def test_a_given_key_counts_everywhere(tmp_path):
    for host in ("127.0.0.1", "0.0.0.0"):
        assert (
            needed_key(settings.load(host=host, data_dir=tmp_path, api_key="my-own-key"))
            == "my-own-key"
        )
    assert not (tmp_path / KEY_FILE).exists()


def test_an_empty_key_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINWATT_API_KEY", "")
    made = needed_key(settings.load(host="0.0.0.0", data_dir=tmp_path))
    assert len(made) >= 43


def test_a_made_key_is_kept_for_its_owner_alone(tmp_path):
    elsewhere = settings.load(host="0.0.0.0", data_dir=tmp_path / "new")
    first = needed_key(elsewhere)
    assert needed_key(elsewhere) == first
    mode = (tmp_path / "new" / KEY_FILE).stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert [path.name for path in (tmp_path / "new").iterdir()] == [KEY_FILE]


def test_every_service_makes_another(tmp_path):
    keys = {
        needed_key(settings.load(host="0.0.0.0", data_dir=tmp_path / str(n))) for n in range(20)
    }
    assert len(keys) == 20


def test_starts_at_once_agree_on_one_key(tmp_path):
    elsewhere = settings.load(host="0.0.0.0", data_dir=tmp_path)
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: needed_key(elsewhere), range(40)))
    assert len(keys) == 1


def test_a_file_that_was_cut_is_made_anew(tmp_path):
    (tmp_path / KEY_FILE).touch()
    elsewhere = settings.load(host="0.0.0.0", data_dir=tmp_path)
    assert needed_key(elsewhere) == needed_key(elsewhere) != ""


def test_a_folder_that_cannot_be_written_says_what_to_do():
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        code = (
            "import os, sys\n"
            "from app import keys, settings\n"
            "os.getuid() == 0 and os.setuid(65534)\n"
            "keys.needed_key(settings.load(host='0.0.0.0', data_dir=sys.argv[1]))\n"
        )
        ended = subprocess.run(
            [sys.executable, "-c", code, name], capture_output=True, text=True, check=False
        )
        Path(name).chmod(0o755)
    assert UsageError.__name__ in ended.stderr
    assert "TRAINWATT_API_KEY" in ended.stderr


@pytest.mark.parametrize("name", [KEY_FILE])
def test_the_key_is_no_part_of_the_settings_words(name, tmp_path):
    key = needed_key(settings.load(host="0.0.0.0", data_dir=tmp_path))
    assert key not in repr(settings.load(host="0.0.0.0", data_dir=tmp_path))


@pytest.mark.parametrize("odd", [b"\xff\xfe", b"two\nlines", b"a b", b"nul\0"])
def test_a_file_that_holds_no_key_says_what_to_do(tmp_path, odd):
    (tmp_path / KEY_FILE).write_bytes(odd)
    with pytest.raises(UsageError, match="delete it"):
        needed_key(settings.load(host="0.0.0.0", data_dir=tmp_path))


@pytest.mark.parametrize("odd", ["with space", "schl\u00fcssel-lang", "short", "two\nlines-of-key"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_repeated(odd):
    with pytest.raises(UsageError, match="TRAINWATT_API_KEY") as refused:
        settings.load(api_key=odd)
    assert odd not in str(refused.value)


def test_space_around_a_key_does_not_count():
    assert settings.load(api_key=" my-own-key\n").api_key == "my-own-key"
    assert settings.load(api_key="  ").api_key is None
