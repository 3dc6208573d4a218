"""From the training's process to a client: how late power and changes of stage arrive."""

import time
from collections.abc import Iterator
from itertools import pairwise

from app.client import Client
from app.domain.events import JobEvent, PowerSample, Standing
from app.domain.jobs import Stage
from app.domain.readings import Phase, Readings
from bench.record import spread
from bench.service import Service, service

SHORT_JOBS = 26  # two changes of stage each
REST_S = 0.5
TOGETHER_S = 0.05  # what comes closer was stored together
Spec = dict[str, object]

LONG: Spec = {"model_type": "cnn", "size": "base", "epochs": 15}  # a minute and more
SHORT: Spec = {"model_type": "cnn", "size": "tiny", "dataset": {"name": "digits"}, "epochs": 1}
BEGINS = {Phase.EPOCH: Stage.TRAINING, Phase.EVALUATION: Stage.EVALUATING}

Received = list[tuple[float, JobEvent]]  # with the moment of each, in seconds since 1970


def run() -> dict[str, object]:
    """Seconds from a reading, by the clock of the one machine, to the event that it makes."""
    with service() as running, Client(str(running.http.base_url)) as client:
        power = list(_power(*_follow(running, client, LONG)))
        stages: list[float] = []
        for _ in range(SHORT_JOBS):
            stages += _stages(*_follow(running, client, SHORT))
            time.sleep(REST_S)
    return {
        "what": "from a reading in the worker to its event in a client that follows the stream",
        "power_s": spread([late_s for _, late_s in power]),
        "power_newest_s": spread(_newest(power)),
        "stage_s": spread(stages),
    }


def _follow(running: Service, client: Client, spec: Spec) -> tuple[Received, Readings]:
    """All events of a job, and its readings."""
    job_id = running.submit(**spec)
    received = [(time.time(), event) for event in client.events(job_id)]
    return received, client.readings(job_id)


def _power(received: Received, readings: Readings) -> Iterator[tuple[float, float]]:
    """When a sample came, and how late: it exists with the reading that ends it."""
    moments = sorted({reading.t_s for reading in readings.readings})
    ends = {begin: end for begin, end in pairwise(moments)}
    started_s = readings.started_at.timestamp()
    for at_s, event in received:
        if isinstance(event.data, PowerSample):
            yield at_s, at_s - started_s - ends[event.data.t_s]


def _newest(power: list[tuple[float, float]]) -> list[float]:
    """Without those that waited for others: the worker stores once a second what is no stage."""
    last = [one for one, two in pairwise(power) if two[0] - one[0] > TOGETHER_S]
    return [late_s for _, late_s in [*last, power[-1]]]


def _stages(received: Received, readings: Readings) -> Iterator[float]:
    """The first event of each stage that begins with a reading."""
    begun: dict[Stage, float] = {}
    for reading in readings.readings:
        if reading.begins in BEGINS:
            begun.setdefault(BEGINS[reading.begins], reading.t_s)
    started_s = readings.started_at.timestamp()
    for at_s, event in received:
        if isinstance(event.data, Standing) and event.data.stage in begun:
            yield at_s - started_s - begun.pop(event.data.stage)
