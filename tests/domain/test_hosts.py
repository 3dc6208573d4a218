"""Whether a host's worker is counted on: one answer for all who ask."""

from datetime import timedelta

import pytest

from app.domain.hosts import worker_trouble

LEASE_S = 30.0


@pytest.mark.parametrize(
    ("age_s", "fields", "words"),
    [
        (29.9, {}, None),
        (30, {}, "The worker of h1 was last heard 30 s ago."),
        (30, {"ready": False}, "last heard"),
        (0, {"ready": False}, "has not warmed"),
        (0, {"name": "h2"}, "The worker of h1 has not announced itself yet."),
        (-5, {}, None),  # the database's clock is ahead of ours
    ],
)
def test_a_worker_is_counted_on_for_a_lease(make_host, age_s, fields, words):
    host = make_host(**fields)
    now = host.last_seen + timedelta(seconds=age_s)
    found = worker_trouble([host], "h1", now=now, lease_s=LEASE_S)
    assert found is None if words is None else words in found


def test_the_host_is_found_among_others(make_host):
    hosts = [make_host("h0", ready=False), make_host("h1")]
    assert worker_trouble(hosts, "h1", now=hosts[0].last_seen, lease_s=LEASE_S) is None
