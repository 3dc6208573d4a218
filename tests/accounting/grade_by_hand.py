"""The reason codes of a report worked out from its fields alone, by the table of the README.

Of the code under test nothing is used, so that the table says enough. `counter_wrapped` alone needs
the readings.
"""

CAUSES = {
    "too short": "too_short",
    "gave no value": "counter_lost",
    "could not be read for a time": "counter_lost",
    "went backwards": "counter_jumped",
    "stood still": "counter_stopped",
}


def codes(report):
    """The codes of a report that is read from JSON."""
    spent = {attempt["energy_j"] is None for attempt in report["attempts"]}
    found = {"spent_incomplete"} if spent == {True, False} else set()
    if report["readings_sha256"] is None:
        return found | {_of_nothing(report)}
    found |= _of_components(report)
    if report["energy"]["total_j"] is None and "too_short" not in found:
        found |= {"no_figure"}
    return found | {code for code, holds in _conditions(report).items() if holds}


def _of_nothing(report):
    attempts = report["attempts"]
    if not attempts:
        return "never_started"
    return "no_readings" if attempts[-1]["ended"] == report["status"] else "not_run_again"


def _of_components(report):
    found = set()
    for name in ("cpu", "gpu", "ram"):
        part = report["energy"][name]
        reason = part["reason"] or ""
        if part["method"] == "unavailable":
            told = [code for words, code in CAUSES.items() if words in reason]
            found |= set(told[:1] or [f"{name}_unavailable"])
        if part["method"] == "measured" and reason:
            found |= {"sensor_left_out"}
        if name != "cpu" and part["method"] == "assumed":
            found |= {f"{name}_power_assumed"}
    return found | _of_modelled_cpu(report)


def _of_modelled_cpu(report):
    cpu = report["energy"]["cpu"]
    if cpu["method"] not in {"estimated", "assumed"}:
        return set()
    if cpu["source"].startswith("SPECpower"):
        known = report["environment"]["cpu_generation"] is not None
        return {"cpu_power_modelled" if known else "cpu_generation_unknown"}
    whole = cpu["reason"] is not None
    known = whole or "TDP × load table" in cpu["models"]
    found = {"cpu_power_modelled" if known else "cpu_power_guessed"}
    return found | ({"socket_share_unknown"} if whole else set())


def _over(value, limit):
    return value is not None and value > limit


def _conditions(report):
    seen, where, energy = report["trust"], report["environment"], report["energy"]
    baseline, figure = energy["baseline"], energy["total_j"] is not None
    host_s = report["duration_s"] * where["host_cpus"]
    share, over_job = seen["contention_share"], seen["others_over_job"]
    shares = (baseline["others_share"], baseline["service_share"], baseline["gpu_utilization"])
    return {
        "contention": _over(share, 0.05) or _over(over_job, 0.5),
        "contention_unknown": share is None,
        "service_busy": _over(seen["service_share"], 0.05),
        "not_quiet": seen["quiet_at_start"] is False,
        "swapping": _over(seen["swapped_mib"], 16),
        "steal": _over(seen["steal_s"], 0.01 * host_s),
        "sample_gap": _over(seen["largest_sample_gap_s"], 2 * where["sample_interval_s"]),
        "temperature_drift": _over(seen["temperature_drift_c"], 10),
        "governor": seen["governor"] not in {None, "performance"},
        "short_run": report["duration_s"] < 60,
        "not_finished": report["status"] != "succeeded",
        "no_baseline": figure and baseline["power_w"] is None,
        "baseline_disturbed": figure and any(_over(share, 0.05) for share in shares),
    }
