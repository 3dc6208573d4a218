"""Experiments as pages."""

import pytest

from app.domain.experiments import ExperimentSpec
from app.domain.specs import JobSpec
from app.service import Service
from app.settings import Settings
from app.worker.bench import Bench
from app.worker.experiments import settle

NAME = "<b>batches</b>"


@pytest.fixture
async def experiment(store, make_host, finish_job):
    """Makes one, and ends so many of its jobs."""

    async def made(ended):
        spec = ExperimentSpec.model_validate(
            {
                "name": NAME,
                "base": {"model_type": "cnn", "size": "tiny", "dataset": {"name": "digits"}},
                "vary": {"batch_size": [32, 128]},
                "repeats": 2,
                "constraint": {"min_accuracy": 0.5},
            }
        )
        placed = [(place, JobSpec.model_validate(body)) for place, body in spec.bodies()]
        found = await Service(store, Settings()).create_experiment(spec, placed)
        bench = Bench(settings=Settings(), store=store, meter=None, host=make_host("box").facts)
        jobs = sorted((await store.list_jobs(limit=10)).items, key=lambda job: job.queue_position)
        for job in jobs[:ended]:
            noise = 1 + job.block / 100
            await finish_job(
                store, job.id, stretch=(1 + job.variant) * noise, accuracy=0.9 - job.variant / 10
            )
            await settle(bench, found.id)
        return found.id

    return made


async def test_one_that_has_ended_says_its_answer_its_variants_and_its_pairs(browser, experiment):
    name = await experiment(4)
    page = await browser.get(f"/experiments/{name}")
    assert page.status_code == 200
    assert "<h1>&lt;b&gt;batches&lt;/b&gt;</h1>" in page.text
    assert "batch_size=32 uses 50 % less energy than batch_size=128" in page.text
    assert "beaten in energy and accuracy" in page.text and "<strong>best</strong>" in page.text
    assert 'aria-label="2 variants by energy and test accuracy"' in page.text
    assert 'aria-label="2 variants by energy and duration"' in page.text
    assert "data-experiment" not in page.text and "live.js" not in page.text
    assert "Cancel this experiment" not in page.text
    listed = await browser.get("/experiments")
    assert f'href="/experiments/{name}"' in listed.text and "<b>batches" not in listed.text
    jobs = await browser.get(f"/jobs?experiment={name}")
    assert jobs.text.count("cnn tiny") >= 4


async def test_one_that_runs_is_followed_and_can_be_cancelled(browser, experiment, store):
    name = await experiment(1)
    page = await browser.get(f"/experiments/{name}")
    assert f'data-experiment="{name}"' in page.text
    assert "1 of 4 jobs have ended" in page.text
    (job,) = [j for j in (await store.list_jobs()).items if j.status.final]
    assert f'href="/experiments/{name}"' in (await browser.get(f"/jobs/{job.id}")).text
    cancelled = await browser.post(
        f"/experiments/{name}/cancel", headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert (cancelled.status_code, cancelled.headers["location"]) == (303, f"/experiments/{name}")
    assert "it was cancelled" in (await browser.get(f"/experiments/{name}")).text


async def test_a_foreign_site_cancels_nothing(browser, experiment):
    name = await experiment(0)
    refused = await browser.post(
        f"/experiments/{name}/cancel", headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert refused.status_code == 403
    assert "begun" in (await browser.get(f"/experiments/{name}")).text


async def test_without_any_the_page_says_how(browser):
    page = await browser.get("/experiments")
    assert "trainwatt experiment run experiment.yaml" in page.text
    assert (await browser.get("/experiments/nothing")).status_code == 404
