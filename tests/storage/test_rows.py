"""Rows as the domain's values."""

from app.domain.specs import JobSpec


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
