"""The tables of docs/accuracy.md, from the recorded figures: `python -m bench.accuracy`."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.record import RESULTS

PAGE = Path(__file__).parent.parent / "docs" / "accuracy.md"


def page(text: str) -> str:
    """The page with its tables as the figures are now; each stands between two marks."""
    sensors, contention = _figures("sensors"), _figures("contention")
    tables = {
        "lengths": _lengths(sensors),
        "each": _each(sensors),
        "model": _model(sensors),
        "contention": _contention(contention),
        "quotes": _quotes(_figures("quotes")),
    }
    for name, rows in tables.items():
        begin, end = f"<!-- {name} -->", "<!-- end -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = "\n".join([before + begin, *rows, end + after])
    return text


def _figures(name: str) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return figures


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for cells in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(cells)} |"


def _lengths(figures: dict[str, Any]) -> list[str]:
    """Median and worst by length, both on one definition, and ours by its own moments."""
    told = figures["ours_between_the_moments_that_it_tells_by_length"]
    rows = [
        [
            name,
            str(both["ours"]["n"]),
            *_sizes(both),
            _percent(told[name]["worst"]),
        ]
        for name, both in figures["by_length"].items()
    ]
    head = ["length", "runs", "ours, median", "ours, worst", "stock, median", "stock, worst"]
    return list(_table([*head, "ours, worst, between the moments that it tells"], rows))


def _each(figures: dict[str, Any]) -> list[str]:
    """Every run: traces down, lengths across."""
    found: dict[tuple[str, float, str], float] = {
        (one["trace"], one["asked_s"], one["who"]): one["error"] for one in figures["each"]
    }
    traces = dict.fromkeys(trace for trace, _, _ in found)
    lengths = sorted({asked_s for _, asked_s, _ in found})
    rows = [
        [
            trace,
            who,
            *(_percent(found[trace, asked_s, who]) for asked_s in lengths),
        ]
        for trace in traces
        for who in ("ours", "stock")
    ]
    return list(_table(["trace", "", *(f"{asked_s:g} s" for asked_s in lengths)], rows))


def _model(figures: dict[str, Any]) -> list[str]:
    rows = [
        [name, *_sizes(both)] for name, both in figures["flat_power_of_the_ram_by_length"].items()
    ]
    head = ["length", "ours, median", "ours, worst", "stock, median", "stock, worst"]
    return list(_table(head, rows))


def _contention(figures: dict[str, Any]) -> list[str]:
    loads = {
        f"another program, {name}": found
        for name, found in figures["load_of_another_program"].items()
    }
    requests = next(name for name in figures if name.endswith("to the service"))
    rows = [
        [
            name,
            str(found["contention_error"]["n"]),
            f"{found['true_contention_share']['median']:.1%}",
            _percent(_worst(found["contention_error"])),
            _percent(_worst(found["service_error"])) if "service_error" in found else "",
        ]
        for name, found in (loads | {requests: figures[requests]}).items()
    ]
    head = ["load beside the job", "runs", "`contention_share`, true, median"]
    return list(_table([*head, "its worst error", "worst error of `service_share`"], rows))


def _quotes(figures: dict[str, Any]) -> list[str]:
    """By family and over all, by like jobs; then by pilots."""
    groups = figures["by_family"] | {"all": figures["all"], "all, by a pilot": figures["by_pilot"]}
    rows = [
        [
            name,
            str(round(found["jobs"])),
            *(
                f"{found[f'{of}_{what}']:{'+' if 'bias' in what else ''}.1%}"
                for of in ("energy", "duration")
                for what in ("error_median", "bias_median", "coverage")
            ),
        ]
        for name, found in groups.items()
    ]
    head = ["energy: off by, median", "too high by, median", "in its interval"]
    more = ["duration: off by, median", "too high by, median", "in its interval"]
    return list(_table(["family", "jobs", *head, *more], rows))


def _worst(spread: dict[str, float]) -> float:
    return max(spread["min"], spread["max"], key=abs)


def _sizes(both: dict[str, dict[str, float]]) -> list[str]:
    """Median size and worst error, ours and stock."""
    cells = []
    for who in ("ours", "stock"):
        cells += [_percent(both[who]["median"]).lstrip("+"), _percent(both[who]["worst"])]
    return cells


def _percent(share: float) -> str:
    return f"{share:+.3%}" if abs(share) < 0.01 else f"{share:+.1%}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
