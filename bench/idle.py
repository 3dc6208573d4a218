"""What an idle service costs: CPU over a minute, and the memory of each process (PSS)."""

import time

import psutil

from bench.service import Service, service

SETTLE_S = 10.0
WINDOW_S = 60.0


def run() -> dict[str, object]:
    """CPU-seconds of every process of the service over the window, and what each holds."""
    with service() as running:
        time.sleep(SETTLE_S)
        family = _family(running)
        before = {process: _cpu_s(process) for process in family}
        time.sleep(WINDOW_S)
        used = {process: _cpu_s(process) - before[process] for process in family}
        memory = [
            {"process": _name(p), "pss_mib": round(p.memory_full_info().pss / 2**20, 1)}
            for p in family
        ]
        by_process = [
            {"process": _name(p), "cpu_s": round(seconds, 2)} for p, seconds in used.items()
        ]
    return {
        "what": f"the whole service, idle for {WINDOW_S:g} s",
        "goal_share_of_a_core": 0.01,
        "share_of_a_core": round(sum(used.values()) / WINDOW_S, 5),
        "cpu": by_process,
        "memory": memory,
        "memory_total_mib": round(sum(float(str(m["pss_mib"])) for m in memory), 1),
    }


def _family(running: Service) -> list[psutil.Process]:
    return [running.supervisor, *running.supervisor.children(recursive=True)]


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _name(process: psutil.Process) -> str:
    """The part of the command line that tells the processes apart."""
    words = process.cmdline()
    if words[0].startswith("postgres:"):  # PostgreSQL writes what it does over its command line
        return words[0].strip()
    text = " ".join(word for word in words[1:] if not word.startswith("/")) or words[0]
    return text[:70]
