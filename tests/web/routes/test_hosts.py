"""The hosts: how each measures, and what would make it better."""

from tests.web.conftest import METER


async def test_without_a_worker_it_says_what_to_start(browser):
    assert "<code>trainwatt serve</code>" in (await browser.get("/hosts")).text


async def test_a_host_says_how_it_reads_and_what_would_be_surer(browser, store, make_host):
    await store.beat(make_host("h1", meter=METER, labels=("gpu",)))
    page = await browser.get("/hosts")
    assert "assumed, codecarbon cpu_load" in page.text
    assert "TRAINWATT_CPU_TDP_W" in page.text
    assert "host:h1, gpu" in page.text
