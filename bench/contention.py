"""How well the CPU time of others is told beside a job, and the service's own load apart."""

from typing import Any

from bench.record import spread
from bench.service import service
from tests.simulated.beside import Beside, beside

RUNS = 4
SHARES = (0.2, 0.5, 0.9)  # of one CPU
RATE_HZ = 200
SPEC: dict[str, object] = {"model_type": "cnn", "size": "base", "epochs": 12}


def run() -> dict[str, object]:
    """Errors as shares of the truth: the loads' own CPU time, and every other process's."""
    with service() as running:
        http, supervisor = running.http, running.supervisor.pid
        by_others = {
            share: [beside(http, supervisor, SPEC, "burn", share) for _ in range(RUNS)]
            for share in SHARES
        }
        base = http.base_url
        words = ("ask", base.host, base.port, "/v1/jobs", RATE_HZ)
        by_service = [beside(http, supervisor, SPEC, *words) for _ in range(RUNS)]
    return {
        "what": "contention and service share against the kernel's account of every process, "
        f"{RUNS} runs each",
        "goal_contention_error": 0.1,
        "load_of_another_program": {
            f"{share:g} of a CPU": _figures(runs) for share, runs in by_others.items()
        },
        f"{RATE_HZ} requests a second to the service": _figures(by_service)
        | {
            "service_share": spread([run.service_share for run in by_service]),
            "service_error": spread(
                [run.trust["service_share"] / run.service_share - 1 for run in by_service]
            ),
        },
    }


def _figures(runs: list[Beside]) -> dict[str, Any]:
    errors = [run.trust["contention_share"] / run.others_share - 1 for run in runs]
    return {
        "true_contention_share": spread([run.others_share for run in runs]),
        "planted_share": spread([run.load_share for run in runs]),
        "contention_error": spread(errors),
        "grades": "".join(sorted(run.trust["grade"] for run in runs)),
    }
