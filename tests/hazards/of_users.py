"""Hazards of what users and strangers send, of own scripts, and of figures that chance makes."""

from hazard import Hazard

PEAK = "tests/worker/test_peak.py"
UPLOADS = "tests/api/routes/test_datasets.py"
REPORTS = "tests/api/routes/test_reports.py"
EXPERIMENTS = "tests/analysis/test_experiments.py"

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
    Hazard(
        name="report-of-millions-of-nothings",
        file="app/api/routes/reports.py",
        old='    if received.count(b"{") > MOST_OBJECTS or received.count(b",") > MOST_VALUES:\n',
        new="    if False:\n",
        test=f"{REPORTS}::test_more_than_any_training_has_is_refused_before_it_is_parsed",
    ),
    Hazard(
        name="forked-child-keeps-the-host",
        file="app/worker/gate.py",
        old="    unlock(descriptor)\n",
        new="    pass\n",
        test="tests/measure/test_run.py::test_a_forked_child_does_not_keep_the_host",
    ),
    Hazard(
        name="ctrl-c-takes-the-report",
        file="app/measure/run.py",
        old="        with _sigint_later():\n",
        new="        with contextlib.nullcontext():\n",
        test="tests/measure/test_run.py::test_ctrl_c_at_the_end_waits_until_the_report_is_there",
    ),
    Hazard(
        name="many-pairs-one-by-chance",
        file="app/analysis/experiments.py",
        old="    confidence = 1 - (1 - CONFIDENCE) / max(1, len(every))\n",
        new="    confidence = CONFIDENCE\n",
        test=f"{EXPERIMENTS}::test_a_against_a_is_said_to_differ_in_at_most_one_of_twenty_experiments",
    ),
)
