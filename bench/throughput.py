"""GET report against a bare FastAPI route that returns the same bytes: requests a second."""

import itertools
import os
import selectors
import socket
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from fastapi import FastAPI
from starlette.responses import Response

from app.service.kept import OVERHEAD_BYTES
from app.service.reports import KEPT_BYTES
from bench.history import fill
from bench.record import spread
from bench.served import databases, served

ROUNDS = 30
ROUND_S = 0.5  # short, so that what else runs on the host meets all three alike
CONNECTIONS = 8
KEPT_JOBS = 1_000  # their reports stay in the service's memory, whatever else is asked for
OTHER_JOBS = 20_000  # their reports are more than it keeps, so that each comes from the database
BYTES = "TRAINWATT_BENCH_BYTES"  # names the file that the bare route answers with
HEAD_END, LENGTH = b"\r\n\r\n", b"content-length: "


def bare() -> FastAPI:
    """An app of one route that returns bytes and does nothing else."""
    body = Path(os.environ[BYTES]).read_bytes()
    app = FastAPI(openapi_url=None)

    @app.get("/v1/jobs/{job_id}/report")
    async def report(job_id: str) -> Response:  # noqa: ARG001
        return Response(body, media_type="application/json")

    return app


def run() -> dict[str, object]:
    """Rounds in turn, A B C A B C; the ratios round by round."""
    with tempfile.TemporaryDirectory() as folder, databases("reports") as [database_url]:
        fill(database_url, KEPT_JOBS + OTHER_JOBS, whole=True)
        settings = {"TRAINWATT_DATABASE_URL": database_url, "TRAINWATT_DATA_DIR": folder}
        file = Path(folder) / "report.json"
        with served("app.main:app", **settings) as ours:
            paths = _paths(ours)
            body = httpx.get(ours + paths[0], trust_env=False).raise_for_status().content
            file.write_bytes(body)
            check_sizes(len(body))
            with served("bench.throughput:bare", path=paths[0], **{BYTES: str(file)}) as plain:
                rounds = _rounds(plain, ours, paths)
    return {
        "what": f"GET report ({len(body)} bytes), requests a second, {CONNECTIONS} connections"
        f" that stay open: a bare route that returns as many bytes / {KEPT_JOBS:,} reports in turn"
        f" that the service holds in memory / {OTHER_JOBS:,} in turn, more than it holds",
        "goal_ratio": 0.7,
        "bare_route": spread([bare for bare, _, _ in rounds]),
        "reports_from_memory": spread([kept for _, kept, _ in rounds]),
        "reports_from_the_database": spread([other for _, _, other in rounds]),
        "ratio_from_memory": spread([kept / bare for bare, kept, _ in rounds]),
        "ratio_from_the_database": spread([other / bare for bare, _, other in rounds]),
    }


def check_sizes(body_bytes: int) -> None:
    """See that some reports stay in memory and the others never do.

    Raises:
        RuntimeError: they do not, with reports of this many bytes.
    """
    each = body_bytes + OVERHEAD_BYTES
    if not 2 * KEPT_JOBS * each <= KEPT_BYTES <= OTHER_JOBS * each / 2:
        raise RuntimeError(f"reports of {body_bytes} bytes: change KEPT_JOBS or OTHER_JOBS")


def _paths(url: str) -> list[str]:
    """Where every report is had."""
    found, here = [], "/v1/reports?limit=10000"
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as http:
        while here:
            page = http.get(here).raise_for_status()
            found += [f"/v1/jobs/{row['job_id']}/report" for row in page.json()["items"]]
            here = page.links.get("next", {}).get("url", "")
    return found


def _rounds(plain: str, ours: str, paths: list[str]) -> list[tuple[float, float, float]]:
    """Requests a second of the bare route, of reports that are kept, and of the others."""
    kept, others = itertools.cycle(paths[:KEPT_JOBS]), itertools.cycle(paths[KEPT_JOBS:])
    with httpx.Client(base_url=ours, trust_env=False) as http:
        for path in paths[:KEPT_JOBS]:
            http.get(path).raise_for_status()
    for url, which in ((plain, kept), (ours, kept), (ours, others)):
        _load(url, which)  # not counted: connections, statements and code are warm afterwards
    return [(_load(plain, kept), _load(ours, kept), _load(ours, others)) for _ in range(ROUNDS)]


@dataclass
class _Answer:
    """What has come of the answer on one connection."""

    received: bytearray
    size: int | None = None  # bytes of the whole; null while its head is not there


def _load(url: str, paths: Iterator[str]) -> float:
    """Answers a second over a round; every connection asks again once it has its answer."""
    with selectors.DefaultSelector() as selector:
        for _ in range(CONNECTIONS):
            connection = _connect(url)
            selector.register(connection, selectors.EVENT_READ, _Answer(bytearray()))
            _ask(connection, next(paths))
        answers, began_s = 0, time.perf_counter()
        while time.perf_counter() < began_s + ROUND_S:
            for key, _ in selector.select():
                if isinstance(key.fileobj, socket.socket) and _whole(key.fileobj, key.data):
                    answers += 1
                    _ask(key.fileobj, next(paths))
        duration_s = time.perf_counter() - began_s
        for key in list(selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
    return answers / duration_s


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    connection = socket.create_connection((str(parts.hostname), int(parts.port or 80)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _ask(connection: socket.socket, path: str) -> None:
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())


def _whole(connection: socket.socket, answer: _Answer) -> bool:
    """Read what has come; whether the answer is there, which is then forgotten."""
    chunk = connection.recv(2**18)
    if not chunk:
        raise RuntimeError("the connection was closed in the middle of an answer")
    answer.received += chunk
    if answer.size is None:
        answer.size = _expected(answer.received)
    if answer.size is None or len(answer.received) < answer.size:
        return False
    answer.received.clear()
    answer.size = None
    return True


def _expected(received: bytearray) -> int | None:
    """Bytes of the whole answer with its head; null while the head is not there."""
    end = received.find(HEAD_END)
    if end < 0:
        return None
    if not received.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(f"expected 200, received {bytes(received[:200])!r}")
    head = bytes(received[:end]).lower()
    length = head.partition(LENGTH)[2].partition(b"\r\n")[0]
    return end + len(HEAD_END) + int(length)
