"""Rows as the domain's values."""

import pytest

from app.domain.specs import JobSpec
from app.storage.rows import header_of, json_from_live, pack, unpack, unpack_json


@pytest.mark.parametrize("count", [0, 1, 40])
def test_readings_are_packed_and_joined_to_the_byte(make_readings, odd, count):
    tricky = '"readings":[]}'
    facts = odd[1].model_copy(update={"ended": {tricky: [{"readings": [tricky, {"t_s": 1}]}]}})
    whole = make_readings(1, *[*odd, facts][-count:] if count else ())
    whole = whole.model_copy(update={"host": whole.host.model_copy(update={"name": tricky})})
    body = whole.to_bytes()
    packed = pack(body)
    assert unpack_json(packed) == body
    assert (unpack(packed), unpack(packed).to_bytes()) == (whole, body)
    live = [reading.to_json() for reading in whole.readings]
    assert json_from_live(header_of(whole), live) == body


async def test_only_jobs_that_compete_are_ahead(store):
    async def submitted(*labels):
        spec = JobSpec(
            model_type="cnn",
            placement={"labels": labels},
            tags={"t": '"placement":{"labels":[]}'},
        )
        return await store.submit(spec, max_queued=10)

    labels = [("gpu",), (), ("gpu",), ("big",), ()]
    positions = [(await submitted(*each)).queue_position for each in labels]
    assert positions == [1, 1, 3, 2, 2]
