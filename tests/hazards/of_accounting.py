"""Hazards between readings and a report."""

from hazard import Hazard

COMPONENTS = "tests/accounting/test_components.py"
SERIES = "tests/accounting/test_series.py"
REFERENCE = "tests/test_reference.py"
CPU = "tests/accounting/test_cpu.py"

HAZARDS = (
    Hazard(
        name="counter-stops",
        file="app/accounting/series.py",
        old="    if sensor and _longest_standstill_s(known) > STOPPED_S:\n",
        new="    if sensor and _longest_standstill_s(known) < 0:\n",
        test=f"{SERIES}::test_faults",
    ),
    Hazard(
        name="counter-jumps-back",
        file="app/accounting/series.py",
        old="        if after < before:\n",
        new="        if after < before < 0:\n",
        test=f"{SERIES}::test_faults",
    ),
    Hazard(
        name="outage-taken-for-a-jump",
        file="app/accounting/series.py",
        old="        if after < before and two > one + 1:\n",
        new="        if after < before and two < one:\n",
        test=f"{SERIES}::test_a_counter_that_began_anew_after_a_time_without_a_value_says_so",
    ),
    Hazard(
        name="counter-lost",
        file="app/accounting/series.py",
        old="    if counter[0] is None or counter[-1] is None:\n",
        new="    counter = [joules or 0.0 for joules in counter]\n    if not counter:\n",
        test=f"{SERIES}::test_faults",
    ),
    Hazard(
        name="whole-socket-billed",
        file="app/accounting/cpu.py",
        old='Correction(name="socket_share", factor=share,',
        new='Correction(name="socket_share", factor=1.0,',
        test=f"{CPU}::test_xeon_guest_of_known_tdp",
    ),
    Hazard(
        name="guess-billed-for-every-socket",
        file="app/accounting/cpu.py",
        old="Correction(name=GUESS_PER_SOCKET, factor=1 / sockets,",
        new="Correction(name=GUESS_PER_SOCKET, factor=1.0,",
        test=f"{CPU}::test_a_guess_is_billed_once_and_not_for_every_socket",
    ),
    Hazard(
        name="fact-that-is-no-number",
        file="app/accounting/phases.py",
        old="    return float(value) if abs(value) <= sys.float_info.max else None",
        new="    return float(value)",
        test="tests/accounting/test_phases.py::test_a_diverged_loss_is_null",
    ),
    Hazard(
        name="unknown-country-averaged",
        file="app/reference.py",
        old="    found = _countries().get(country)\n",
        new='    found = _countries().get(country, _countries()["USA"])\n',
        test=f"{REFERENCE}::test_unknown_places_are_refused",
    ),
    Hazard(
        name="no-country-averaged",
        file="app/reference.py",
        old="        g_per_kwh=None,\n        source=None,\n",
        new="        g_per_kwh=475.0,\n        source=None,\n",
        test=f"{REFERENCE}::test_no_country",
    ),
    Hazard(
        name="unknown-region-is-the-country",
        file="app/reference.py",
        old='    expected += _from_setting("REGION", region_given)\n',
        new="    return _countries()[country]\n",
        test=f"{REFERENCE}::test_unknown_places_are_refused",
    ),
    Hazard(
        name="pue-below-1",
        file="app/domain/specs.py",
        old="    pue: Annotated[float, Field(ge=1, le=10)] = 1.0\n",
        new="    pue: Annotated[float, Field(le=10)] = 1.0\n",
        test="tests/domain/test_specs.py::test_what_is_out_of_range_or_not_honoured_is_refused",
    ),
    Hazard(
        name="setting-changes-an-old-report",
        file="app/service/evaluation.py",
        old="        price = reference.repriced(stored.price, wanted)\n",
        new="        price = reference.repriced(\n"
        "            self._intensity((await self._store.get(job_id)).spec), wanted\n"
        "        )\n",
        test="tests/service/test_evaluation.py::"
        "test_another_catalogue_and_other_settings_leave_it_as_it_was",
    ),
    Hazard(
        name="sensor-lost-in-a-sum",
        file="app/accounting/parts.py",
        old="    joules = _sensor_fault(name, readings) or series.cumulative(\n",
        new="    joules = series.cumulative(\n",
        test="tests/accounting/test_components.py::test_a_faulty_sensor_behind_a_sum_that_goes_on",
    ),
    Hazard(
        name="gap-in-power-samples",
        file="app/accounting/series.py",
        old="    if sampled and any(joules is None for joules in counter):\n",
        new="    if sampled and not counter:\n",
        test="tests/accounting/test_series.py::test_a_missing_value_in_a_sum_of_samples_is_missing_for_good",
    ),
    Hazard(
        name="counter-wraps-unseen",
        file="app/accounting/conditions.py",
        old=">= sensor.range_j:\n",
        new="< 0:\n",
        test="tests/accounting/test_conditions.py::test_a_gap_in_which_a_counter_may_have_gone_round",
    ),
    Hazard(
        name="mirrored-socket-left-out",
        file="app/accounting/cpu.py",
        old='    return replace(part, component=component, partial=True, codes=("sensor_left_out",))\n',
        new="    return part\n",
        test="tests/accounting/test_cpu.py::test_a_socket_that_is_left_out_is_named_and_the_rest_still_counts",
    ),
    Hazard(
        name="service-counted-as-others",
        file="app/accounting/conditions.py",
        old="    return busy_s - job_s - service_s\n",
        new="    return busy_s - job_s\n",
        test="tests/accounting/test_conditions.py::test_others_and_the_service_are_told_apart",
    ),
    Hazard(
        name="others-billed-without-a-word",
        file="app/accounting/trust.py",
        old='        codes.add("contention")\n',
        new='        codes.add("steal")\n',
        test="tests/accounting/test_trust.py::test_conditions",
    ),
    Hazard(
        name="small-job-among-others",
        file="app/accounting/trust.py",
        old=" or (seen.others_over_job or 0.0) > OTHERS_OVER_JOB:\n",
        new=":\n",
        test="tests/accounting/test_trust.py::test_others_beside_a_small_job_on_many_cpus",
    ),
    Hazard(
        name="drift-of-single-samples",
        file="app/accounting/conditions.py",
        old="    return sum(known) / len(known) if len(known) >= DRIFT_SAMPLES else None\n",
        new="    return sum(known) / len(known) if known else None\n",
        test="tests/accounting/test_conditions.py::test_a_drift_of_few_samples_is_noise",
    ),
    Hazard(
        name="idle-server-at-nothing",
        file="app/accounting/models.py",
        old="    idle_w = a.ram_low_w_per_gb if falls else busy_w\n",
        new="    idle_w = busy_w\n",
        test="tests/accounting/test_models.py::test_no_row_and_no_load_is_billed_at_nothing",
    ),
    Hazard(
        name="central-above-its-range",
        file="app/accounting/models.py",
        old="        high_j=max(_sum_j(model.high, loads, 1.0), central_j or 0.0),\n",
        new="        high_j=_sum_j(model.high, loads, 1.0),\n",
        test="tests/accounting/test_models.py::test_no_row_and_no_load_is_billed_at_nothing",
    ),
    Hazard(
        name="virtual-machine-of-another-architecture",
        file="app/metering/host.py",
        old="    return _BARE not in product and (product.startswith(_VIRTUAL) or "
        "maker.startswith(_VIRTUAL))\n",
        new="    return False\n",
        test="tests/metering/test_host.py::test_without_the_flag_of_x86_the_firmware_tells",
    ),
    Hazard(
        name="readings-renamed-by-an-upgrade",
        file="app/service/evaluation.py",
        old='    same_run = {"spec_sha256": stored.spec_sha256, "readings_sha256": '
        "stored.readings_sha256}\n",
        new='    same_run = {"spec_sha256": stored.spec_sha256}\n',
        test="tests/service/test_evaluation.py::"
        "test_readings_that_an_older_release_wrote_otherwise_keep_their_name",
    ),
    Hazard(
        name="models-range-ignored",
        file="app/accounting/cpu.py",
        old="        high_j=max(codecarbon[-1], *(m.high_j for m in envelope)),\n",
        new="        high_j=codecarbon[-1],\n",
        test="tests/accounting/test_hosts.py::test_the_interval_holds_every_published_model_at_the_hosts_share",
    ),
    Hazard(
        name="power-supply-counted-twice",
        file="app/accounting/models.py",
        old="(load, factor * watts / a.wall_factor - interpolate(ram_w, load))",
        new="(load, factor * watts - interpolate(ram_w, load))",
        test="tests/accounting/test_hosts.py::test_the_interval_holds_every_published_model_at_the_hosts_share",
    ),
    Hazard(
        name="whole-socket-of-a-known-tdp",
        file="app/accounting/processors.py",
        old="    return None if whole is None else tdp_w * threads(host) / whole\n",
        new="    return tdp_w\n",
        test="tests/accounting/test_cpu.py::test_a_known_tdp_takes_the_place_of_a_guess",
    ),
    Hazard(
        name="baseline-without-idle-power",
        file="app/accounting/baseline.py",
        old="    if not drawn or len(known_w) < len(drawn):\n",
        new="    if not drawn:\n",
        test="tests/accounting/test_baseline.py::test_a_sensor_without_an_idle_figure_has_no_net",
    ),
    Hazard(
        name="baseline-missing-without-a-word",
        file="app/accounting/trust.py",
        old='        return {"no_baseline"}\n',
        new="        return set()\n",
        test="tests/accounting/test_trust.py::"
        "test_a_part_without_idle_power_beside_one_with_it_has_no_baseline",
    ),
    Hazard(
        name="busy-gpu-in-the-baseline-without-a-word",
        file="app/accounting/trust.py",
        old="    shares = (baseline.others_share, baseline.service_share, baseline.gpu_utilization)\n",
        new="    shares = (baseline.others_share, baseline.service_share)\n",
        test="tests/accounting/test_trust.py::test_a_gpu_that_others_used_while_idle_power_was_measured",
    ),
    Hazard(
        name="disturbed-baseline-without-a-word",
        file="app/accounting/trust.py",
        old='    return {"baseline_disturbed"} if disturbed else set()\n',
        new="    return set()\n",
        test="tests/accounting/test_trust.py::test_a_condition_has_its_reason_and_lowers_the_grade_of_an_a",
    ),
)
