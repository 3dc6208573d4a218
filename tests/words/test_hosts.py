"""Hosts in words."""

import pytest

from app.domain.readings import ComponentFacts, KnownFacts, MeterFacts, Method
from app.domain.reports import Baseline
from app.words.hosts import advice, idle, reads

ABSENT = ComponentFacts(method=Method.ABSENT)
GUESSED = ComponentFacts(method=Method.ASSUMED, source="codecarbon cpu_load", tdp_guessed=True)
MODELLED = ComponentFacts(method=Method.ESTIMATED, source="codecarbon cpu_load", tdp_w=65)
MEASURED = ComponentFacts(method=Method.MEASURED, source="codecarbon intel_rapl")
IDLE = Baseline(power_w=21.5, energy_j=None, method=Method.MEASURED, window_s=60.0)


def meter(cpu, gpu=ABSENT):
    return MeterFacts(cpu=cpu, gpu=gpu, ram=ABSENT, codecarbon="3.3.2")


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"meter": None}, []),
        ({"meter": meter(MEASURED), "baseline": IDLE}, []),
        ({"meter": meter(MEASURED)}, ["trainwatt calibrate"]),
        ({"meter": meter(MODELLED)}, ["A host with a readable sensor"]),
        ({"meter": meter(GUESSED)}, ["`TRAINWATT_CPU_TDP_W` if you know it"]),
        (
            {"meter": meter(MEASURED.model_copy(update={"reason": "why"})), "baseline": IDLE},
            ["CPU: why"],
        ),
        (
            {
                "meter": meter(
                    MEASURED, ComponentFacts(method=Method.UNAVAILABLE, reason="no driver")
                ),
                "baseline": IDLE,
            },
            ["GPU: no driver"],
        ),
    ],
)
def test_what_would_make_it_surer(make_host, fields, says):
    found = list(advice(make_host(**fields)))
    assert len(found) == len(says)
    assert all(part in text for part, text in zip(says, found, strict=True))


def test_a_virtual_machine_needs_its_sockets_threads_too(make_host):
    host = make_host(meter=meter(GUESSED))
    virtual = host.facts.model_copy(update={"virtual_machine": True})
    (text,) = advice(host.model_copy(update={"facts": virtual}))
    assert "`TRAINWATT_SOCKET_THREADS`" in text


def test_what_the_user_said_is_not_asked_for_again(make_host):
    host = make_host(meter=meter(GUESSED))
    known = host.facts.model_copy(update={"known": KnownFacts(cpu_tdp_w=65)})
    (text,) = advice(host.model_copy(update={"facts": known}))
    assert "TRAINWATT_CPU_TDP_W" not in text


def test_how_it_reads_and_what_it_uses_when_idle(make_host):
    assert reads(MEASURED) == "measured, codecarbon intel_rapl"
    assert reads(ABSENT) == "absent"
    assert idle(make_host(baseline=IDLE)) == "21.5 W, measured over 60 s"
    assert idle(make_host()) == "not known"
