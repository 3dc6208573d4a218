"""Hazards of what users and strangers send, and of a figure that outlives its moment."""

from hazard import Hazard

PEAK = "tests/worker/test_peak.py"
UPLOADS = "tests/api/routes/test_datasets.py"

HAZARDS = (
    Hazard(
        name="forged-form",
        file="app/web/forms.py",
        old="    if not ours:\n",
        new="    if False:\n",
        test="tests/web/test_forms.py::test_another_origins_page_may_not",
    ),
    Hazard(
        name="markup-of-a-user",
        file="app/web/pages.py",
        old="        autoescape=True,\n",
        new="        autoescape=False,\n",
        test="tests/web/test_pages.py::test_nothing_that_a_user_wrote_is_markup",
    ),
    Hazard(
        name="slow-upload-holds-a-place",
        file="app/api/routes/datasets.py",
        old="        left_s = SILENCE_S + received_bytes / MIN_BYTES_PER_S - waited_s\n",
        new="        left_s = SILENCE_S\n",
        test=f"{UPLOADS}::test_a_body_that_comes_too_slowly_gives_its_place_up",
    ),
    Hazard(
        name="peak-of-a-busy-host",
        file="app/worker/peak.py",
        old="        self._settled = quiet\n",
        new="        self._settled = True\n",
        test=f"{PEAK}::test_after_a_busy_start_it_is_measured_again_once_the_host_is_quiet",
    ),
)
