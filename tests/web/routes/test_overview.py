"""The page that is opened first."""


async def test_a_first_start_offers_one_job_that_can_be_submitted_as_it_is(browser):
    page = await browser.get("/")
    assert page.status_code == 200
    assert "No job was measured yet." in page.text
    fields = {"model_type": "cnn", "size": "base", "epochs": "3", "dataset.name": "mnist5k"}
    for name, value in fields.items():
        assert f'name="{name}" value="{value}"' in page.text
    assert (await browser.post("/submit", data=fields)).status_code == 303


async def test_what_runs_has_its_power_and_its_energy_so_far(browser, began):
    job, _ = await began(watts=8.0, epochs=3)
    page = await browser.get("/")
    assert f'data-job="{job.id}"' in page.text
    assert "training, epoch 2 of 3, about 7.00 s left" in page.text
    assert ">28.0 W<" in page.text
    assert "266 J" in page.text  # 9.5 s at 28 W


async def test_a_job_that_has_read_nothing_yet_has_no_figures(browser, began):
    await began(taken=[])
    page = await browser.get("/")
    assert page.status_code == 200
    assert "<dd data-power>—</dd>" in page.text


async def test_what_waits_and_what_was_measured(browser, measured, store):
    from app.domain.specs import JobSpec

    done = await measured(epochs=3)
    waiting = await store.submit(JobSpec(model_type="rnn"), max_queued=10)
    page = await browser.get("/")
    assert f'href="/jobs/{waiting.id}"' in page.text
    assert "queued, position 1" in page.text
    assert f'href="/jobs/{done.id}"' in page.text
    assert "<dt>Finished jobs</dt><dd>1</dd>" in page.text
    assert "266 J" in page.text
