"""One measured job at a time on a host."""

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from app.domain.errors import UsageError
from app.worker.gate import host_gate, is_free


async def test_the_second_waits_for_the_first(tmp_path):
    path, order = tmp_path / "lock", []

    async def job(name):
        async with host_gate(path):
            order.append(f"{name} in")
            await asyncio.sleep(0.05)
            order.append(f"{name} out")

    await asyncio.gather(job("a"), job("b"))
    assert order in (["a in", "a out", "b in", "b out"], ["b in", "b out", "a in", "a out"])


async def test_who_waits_comes_before_who_has_just_had_it(tmp_path):
    path, turns = tmp_path / "lock", tmp_path / "turns"
    code = (
        "import asyncio, pathlib, sys\n"
        "from app.worker.gate import host_gate, is_free\n"
        "lock, turns = map(pathlib.Path, sys.argv[1:])\n"
        "async def main():\n"
        "    print('waits', flush=True)\n"
        "    async with host_gate(lock):\n"
        "        with turns.open('a') as file: file.write('other ')\n"
        "asyncio.run(main())\n"
    )
    async with host_gate(path):
        other = subprocess.Popen(
            [sys.executable, "-c", code, str(path), str(turns)], stdout=subprocess.PIPE
        )
        assert other.stdout.readline() == b"waits\n"
        await asyncio.sleep(0.3)
    async with host_gate(path):
        with turns.open("a") as file:
            file.write("mine ")
    other.communicate()
    assert turns.read_text() == "other mine "


async def test_a_wait_can_be_cancelled_and_leaves_the_lock_alone(tmp_path):
    path = tmp_path / "lock"
    async with host_gate(path):
        waiting = asyncio.create_task(_enter(path))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await _enter(path)


async def test_a_killed_holder_frees_it(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    code = (
        "import fcntl, sys, time\n"
        "f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True)\n"
        "time.sleep(600)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    waiting = asyncio.create_task(_enter(path))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    holder.kill()
    holder.wait()
    holder.stdout.close()
    await asyncio.wait_for(waiting, 20)


def test_another_user_can_take_the_lock_of_the_first():
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        asyncio.run(_enter(root / "lock"))
        code = (
            "import asyncio, os, pathlib, sys\n"
            "from app.worker.gate import host_gate, is_free\n"
            "os.getuid() == 0 and os.setuid(65534)\n"
            "async def main():\n"
            "    async with host_gate(pathlib.Path(sys.argv[1])): print('in')\n"
            "asyncio.run(main())\n"
        )
        said = subprocess.run(
            [sys.executable, "-c", code, str(root / "lock")], capture_output=True, check=True
        )
    assert said.stdout == b"in\n"


async def test_a_path_that_cannot_be_made_says_what_to_do(tmp_path):
    with pytest.raises(UsageError, match="TRAINWATT_HOST_LOCK"):
        await _enter(tmp_path / "no folder" / "lock")


async def _enter(path):
    async with host_gate(path):
        pass


async def test_whether_a_worker_measures_now(tmp_path):
    path = tmp_path / "lock"
    assert is_free(path)
    async with host_gate(path):
        assert not is_free(path)
    assert is_free(path)
