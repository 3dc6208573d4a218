"""Takes every guard away in a copy of the tree, and sees that the guard's test notices.

`make test-hazards`, or `python tests/hazards/check.py [NAME …]` for some hazards alone. Exit code 1
where a hazard was not noticed by a sign that its entry names, or a test fails with its guard in
place. The tests are shared out among two processes, each with a copy of its own.
"""

import argparse
import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree

import psutil

sys.path.insert(0, str(Path(__file__).parent))
from hazard import Hazard
from hazards import HAZARDS

ROOT = Path(__file__).parents[2]
PARTS = ("app", "tests", "bench", "docs", "pyproject.toml", "README.md")
PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
FAILED = 1  # pytest's exit code; others mean that no test ran as it should
LANES = 2
ALL_S = 600.0  # for all tests with their guards
TEST_S = 10.0  # for a test without its guard, beside three times what it took with it
RUN_S = 45.0  # for its run, which makes a database or a fork server first


def main() -> int:
    """Try each hazard; print a line each."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left behind
    options = _options()
    names = [hazard.name for hazard in HAZARDS if hazard.name in options.names or not options.names]
    if options.here:
        return _try([hazard for hazard in HAZARDS if hazard.name in names])
    tests = sorted({hazard.test for hazard in HAZARDS if hazard.name in names})
    lanes = [
        [h.name for h in HAZARDS if h.name in names and h.test in tests[lane::LANES]]
        for lane in range(LANES)
    ]
    began_s = time.monotonic()
    command = [sys.executable, __file__, "--here"]
    running = [subprocess.Popen([*command, *lane]) for lane in lanes if lane]
    try:
        codes = [process.wait() for process in running]
    finally:
        for process in running:
            process.terminate()
    _say(f"{time.monotonic() - began_s:.0f} s for {len(names)} hazards")
    return max(codes)


def _try(wanted: list[Hazard]) -> int:
    """Try these in this process; 1 where one was not noticed."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)  # what outlives a test comes to us
    with tempfile.TemporaryDirectory(prefix="trainwatt-hazards-") as folder:
        copy = Path(folder)
        copy.chmod(0o755)  # parts of the tests run as another user
        _copy_to(copy)
        _say(f"{len({hazard.test for hazard in wanted})} tests with their guards")
        took_s = _with_guards(copy, wanted)
        if took_s is None:
            return 1
        missed = [hazard.name for hazard in wanted if not _noticed(copy, hazard, took_s)]
    for name in missed:
        _say(f"NOT NOTICED: {name}")
    _say(f"{len(wanted) - len(missed)} of {len(wanted)} hazards noticed")
    return 1 if missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="hazards; none: all")
    parser.add_argument("--here", action="store_true", help="in this process alone")
    options = parser.parse_args()
    unknown = set(options.names) - {hazard.name for hazard in HAZARDS}
    if unknown:
        parser.error(f"expected names of hazards, received {', '.join(sorted(unknown))}")
    return options


def _copy_to(copy: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "results")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, copy / part, ignore=ignored)
        else:
            shutil.copy2(ROOT / part, copy / part)


def _with_guards(copy: Path, wanted: list[Hazard]) -> dict[str, float] | None:
    """Seconds of every test function with all guards in place; null where one fails."""
    results = copy / "results.xml"
    tests = sorted({hazard.test for hazard in wanted})
    code, said = _pytest(copy, [*tests, f"--junitxml={results}"], ALL_S)
    if code != 0:
        _say(said)
        _say(f"the tests fail with every guard in place (exit code {code})")
        return None
    took_s: dict[str, float] = {}
    for case in ElementTree.parse(results).iter("testcase"):
        name = case.attrib["name"].partition("[")[0]
        took_s[name] = took_s.get(name, 0.0) + float(case.attrib["time"])
    return took_s


def _noticed(copy: Path, hazard: Hazard, took_s: dict[str, float]) -> bool:
    """Whether the test shows, without the guard, a sign that stands in the hazard's entry."""
    path, results = copy / hazard.file, copy / "results.xml"
    before = path.read_text()
    assert before.count(hazard.old) == 1, (hazard.name, hazard.file)
    path.write_text(before.replace(hazard.old, hazard.new))
    began_s, usual_s = time.monotonic(), took_s[hazard.test.partition("::")[2]]
    limits = ["-o", "timeout_func_only=true", f"--timeout={TEST_S + 3 * usual_s:.0f}"]
    arguments = ["-x", *limits, f"--junitxml={results}", hazard.test]
    results.unlink(missing_ok=True)
    try:
        code, said = _pytest(copy, arguments, RUN_S + 4 * usual_s)
    finally:
        path.write_text(before)
    shown = sign(code, results)
    noticed = shown in hazard.signs
    how = "noticed" if noticed else "NOT NOTICED"
    _say(f"{time.monotonic() - began_s:5.1f} s  {hazard.name}: {how} ({shown}, exit code {code})")
    if not noticed:
        _say(said)
    return noticed


def sign(code: int | None, results: Path) -> str | None:
    """What a run showed: `failure`, `error`, `hang`; null where it showed none of them.

    Args:
        code: pytest's exit code; null for a run that did not end.
        results: the JUnit file of this run alone.
    """
    if code is None:
        return "hang"
    if code != FAILED or not results.exists():
        return None
    found = {element.tag for element in ElementTree.parse(results).iter()}
    return next((tag for tag in ("failure", "error") if tag in found), None)


def _pytest(copy: Path, arguments: list[str], limit_s: float) -> tuple[int | None, str]:
    """Run pytest in the copy; its exit code, null past the limit, and the end of what it said."""
    environment = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    said = copy / "said"
    with said.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
            cwd=copy,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    code = _reap(process, limit_s)
    return code, "\n".join(said.read_text(errors="replace").splitlines()[-30:])


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _reap(process: subprocess.Popen[bytes], limit_s: float) -> int | None:
    """Wait for pytest and end whatever it leaves; everything that loses its parent is ours."""
    deadline_s, code = time.monotonic() + limit_s, None
    try:
        while code is None and time.monotonic() < deadline_s:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == process.pid:
                code = os.waitstatus_to_exitcode(status)
            elif pid == 0:
                time.sleep(0.02)
    finally:
        _end_all()
    process.returncode = code if code is not None else -signal.SIGKILL
    return code


def _end_all() -> None:
    """Kill every process below this one, and those that come to it then."""
    while left := psutil.Process().children(recursive=True):
        for one in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main())
