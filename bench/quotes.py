"""How well jobs are predicted: from all others like them, and from a pilot, by real ones.

`python -m bench.quotes --jobs 225 --seed 9` runs jobs of every family on a service of its own, in
random order, some of them with a pilot, and keeps what they came to in `results/quotes_jobs.jsonl`.
`python -m bench quotes` predicts each of them from the others of that file.
"""

import argparse
import json
import random
from pathlib import Path
from typing import Any

from app.analysis.quotes import by_pilot, from_pilot, pilot_spec, predict, track, work
from app.domain.quotes import Past, Predicted, QuoteRecord, Track
from app.domain.reports import EnergyReport
from app.domain.specs import JobSpec
from app.workloads import catalogue
from bench.record import spread
from bench.service import Service, service

JOBS = Path(__file__).parent / "results" / "quotes_jobs.jsonl"
FAMILIES = (
    "cnn",
    "rnn",
    "attention",
    "gru",
    "mlp",
    "transformer",
    "resnet",
    "svm",
    "random_forest",
)
SIZES = {"mlp": ("tiny", "small", "base", "medium"), "cnn": ("tiny", "small", "base")}
LIGHT = {"svm", "random_forest"}  # of scikit-learn: no precision to choose
PILOTS = 5  # for each family, of jobs that are worth one
LOOK_S = 1.0


def specs(jobs: int, seed: int) -> list[JobSpec]:
    """So many specs, the families in turn; the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 -- no secret
    made = [_spec(FAMILIES[number % len(FAMILIES)], chance) for number in range(jobs)]
    return [JobSpec.model_validate(one) for one in made]


def _spec(family: str, chance: random.Random) -> dict[str, Any]:
    name = chance.choice(["mnist5k", "mnist5k", "digits"])
    samples = None if name == "digits" else chance.choice([500, 1000, 2000, 4000])
    spec = {
        "model_type": family,
        "size": chance.choice(SIZES.get(family, ("tiny", "small"))),
        "epochs": chance.randint(1, 6),
        "dataset": {"name": name, "samples": samples},
        "seed": chance.randrange(1000),
    }
    if family in LIGHT:
        return spec | {"size": chance.choice(["tiny", "small"])}
    precision = chance.choice(["float32", "float32", "float32", "mixed_bfloat16"])
    return spec | {
        "batch_size": chance.choice([32, 64, 128]),
        "execution": {"precision": precision},
    }


def collect(jobs: int, seed: int) -> list[dict[str, Any]]:
    """Run them and their pilots one after the other; what each came to."""
    asked = specs(jobs, seed)
    pilots = [pilot_spec(spec, catalogue.facts(spec)) for spec in asked]
    piloted = [number for number, pilot in enumerate(pilots) if pilot is not None]
    order = [(number, False) for number in range(jobs)]
    order += [(number, True) for number in piloted[: PILOTS * len(FAMILIES)]]
    random.Random(seed).shuffle(order)  # noqa: S311 -- no secret
    with service(TRAINWATT_MAX_QUEUED_JOBS=str(len(order) + 1)) as running:
        running.wait(running.submit(model_type="mlp", size="tiny", epochs=1))  # reads the disk once
        made = {}
        for number, pilot in order:
            spec = pilots[number] if pilot else asked[number]
            assert spec is not None
            made[number, pilot] = running.submit(**spec.model_dump(mode="json"))
        found = {}
        for count, place in enumerate(order):
            found[place] = _report(running, made[place])
            print(f"{count + 1} of {len(order)}", flush=True)
    return [_line(asked[n], found[n, False], found.get((n, True))) for n in range(jobs)]


def _report(running: Service, job_id: str) -> EnergyReport:
    running.wait(job_id, poll_s=LOOK_S)
    answer = running.http.get(f"/v1/jobs/{job_id}/report").raise_for_status()
    return EnergyReport.model_validate_json(answer.content)


def _line(spec: JobSpec, found: EnergyReport, pilot: EnergyReport | None) -> dict[str, Any]:
    told = from_pilot(work(spec, catalogue.facts(spec)), pilot) if pilot else None
    return {
        "spec": spec.model_dump(mode="json", exclude_defaults=True),
        "status": found.status,
        "energy_j": found.energy.total_j,
        "duration_s": found.duration_s,
        "from_pilot": told and {"energy_j": told.energy_j, "duration_s": told.duration_s},
    }


def kept() -> list[tuple[Past, dict[str, float] | None]]:
    """The jobs of the file that have an energy, with what their pilots said."""
    lines = [json.loads(line) for line in JOBS.read_text().splitlines()]
    told = [line for line in lines if line["status"] == "succeeded" and line["energy_j"]]
    return [(_past(line), line["from_pilot"]) for line in told]  # some are too short for an energy


def _past(line: dict[str, Any]) -> Past:
    spec = JobSpec.model_validate(line["spec"])
    return Past(
        work=work(spec, catalogue.facts(spec)),
        energy_j=line["energy_j"],
        duration_s=line["duration_s"],
    )


def records(jobs: list[Past]) -> list[QuoteRecord]:
    """Each job predicted from all the others, where those are enough."""
    found = []
    for number, one in enumerate(jobs):
        told = predict(one.work, jobs[:number] + jobs[number + 1 :])
        if told is not None:
            found.append(_record(one, told[2]))
    return found


def _record(one: Past, predicted: Predicted) -> QuoteRecord:
    return QuoteRecord(
        host="bench",
        model_type=one.work.model_type,
        quoted_j=predicted.energy_j,
        low_j=predicted.energy_low_j,
        high_j=predicted.energy_high_j,
        energy_j=one.energy_j,
        quoted_s=predicted.duration_s,
        low_s=predicted.duration_low_s,
        high_s=predicted.duration_high_s,
        duration_s=one.duration_s,
    )


def run() -> dict[str, object]:
    """Predict every job of the file from the others; how that held, by family."""
    jobs = kept()
    found = records([one for one, _ in jobs])
    families = sorted({one.model_type for one in found})
    by_family = {f: [one for one in found if one.model_type == f] for f in families}
    pilots = [(one, said) for one, said in jobs if said and one.work.flops_per_sample]
    piloted = [_record(one, by_pilot(said["energy_j"], said["duration_s"])) for one, said in pilots]
    return {
        "what": "each of some real jobs, predicted from the others like it, and from a pilot",
        "jobs": len(jobs),
        "predicted": len(found),
        "all": _short(track(found)),
        "by_family": {family: _short(track(ones)) for family, ones in by_family.items()},
        "by_pilot": _short(track(piloted)),
        "measured_over_pilot": {
            "energy": spread([one.energy_j / said["energy_j"] for one, said in pilots]),
            "duration": spread([one.duration_s / said["duration_s"] for one, said in pilots]),
        },
    }


def _short(found: Track) -> dict[str, object]:
    body = found.model_dump(exclude={"host", "model_type"})
    return {name: float(f"{value:.3g}") for name, value in body.items()}


def main() -> None:
    """Run the jobs and keep what they came to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=225)
    parser.add_argument("--seed", type=int, default=9)
    given = parser.parse_args()
    lines = collect(given.jobs, given.seed)
    JOBS.write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    main()
