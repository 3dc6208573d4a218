"""Hosts announce themselves again and again; the database's clock says when."""

from collections.abc import Callable
from datetime import UTC

from app.domain.hosts import Host
from app.storage.store import Store


async def test_a_host_is_one_row_however_often_it_beats(
    store: Store, make_host: Callable[..., Host]
) -> None:
    assert await store.hosts() == ()
    await store.beat(make_host("b", ready=False))
    await store.beat(make_host("a"))
    await store.beat(make_host("b", current_job="x"))
    a, b = await store.hosts()
    assert (a.name, b.name, b.ready, b.current_job) == ("a", "b", True, "x")
    given = make_host("b", current_job="x", last_seen=b.last_seen)
    assert b == given
    assert b.last_seen.tzinfo is UTC
    assert b.last_seen > a.last_seen  # not the worker's own claim, which is the same for both
