"""Hazards of reading energy: codecarbon, sensors, the host around them."""

from hazard import Hazard

METER = "tests/metering/test_meter.py"
SENSORS = "tests/metering/test_sensors.py"
COMPONENTS = "tests/accounting/test_components.py"
PROCESS = "tests/worker/test_process.py"
RAPL = "tests/metering/test_rapl.py"
CONDITIONS = "tests/metering/test_conditions.py"
RECORDER = "tests/worker/test_recorder.py"

HAZARDS = (
    Hazard(
        name="schedulers-left-running",
        file="app/metering/meter.py",
        old="    tracker._scheduler.stop()\n",
        new="",
        test=f"{METER}::test_both_schedulers_are_stopped",
    ),
    Hazard(
        name="power-monitor-left-running",
        file="app/metering/meter.py",
        old="    tracker._scheduler_monitor_power.stop()\n",
        new="",
        test=f"{METER}::test_both_schedulers_are_stopped",
    ),
    Hazard(
        name="short-run-lost",
        file="app/worker/process.py",
        old="                emit(Seen(reading=self._read(None, None)))\n                return\n",
        new="                return\n",
        test=f"{PROCESS}::test_a_run_is_read_before_the_process_at_every_mark_and_after_the_end",
    ),
    Hazard(
        name="no-sample-between-marks",
        file="app/worker/process.py",
        old="                emit(Seen(reading=self._read(self._process.pid, None)))\n"
        "                due_s",
        new="                due_s",
        test=f"{PROCESS}::test_between_marks_it_is_read_at_every_tick",
    ),
    Hazard(
        name="too-short-for-a-figure",
        file="app/accounting/parts.py",
        old="    if t_s[-1] < TOO_SHORT_S:\n",
        new="    if t_s[-1] < 0:\n",
        test=f"{COMPONENTS}::test_too_short",
    ),
    Hazard(
        name="meter-error-swallowed",
        file="app/metering/meter.py",
        old='            raise MeterError(f"codecarbon gave no reading: {error!r}") from error\n',
        new="            str(error)\n",
        test=f"{METER}::test_a_failing_sensor_raises",
    ),
    Hazard(
        name="environment-overrides-an-argument",
        file="app/metering/meter.py",
        old="        pue=1.0,\n",
        new="",
        test=f"{METER}::test_no_environment_variable_changes_the_tracker",
    ),
    Hazard(
        name="argument-not-given",
        file="app/metering/meter.py",
        old='        tracking_mode="machine",\n',
        new="",
        test=f"{METER}::test_every_argument_of_the_tracker_is_given",
    ),
    Hazard(
        name="process-mode",
        file="app/metering/meter.py",
        old='        tracking_mode="machine",\n',
        new='        tracking_mode="process",\n',
        test=f"{METER}::test_no_environment_variable_changes_the_tracker",
    ),
    Hazard(
        name="online-tracker",
        file="app/metering/meter.py",
        old="    tracker = codecarbon.OfflineEmissionsTracker(\n",
        new="    places = ('country_iso_code', 'region', 'cloud_provider', 'cloud_region',\n"
        "              'country_2letter_iso_code')\n"
        "    tracker = (lambda **given: codecarbon.EmissionsTracker(\n"
        "        **{k: v for k, v in given.items() if k not in places}))(\n",
        test=f"{METER}::test_no_outside_service_is_asked_and_no_signal_is_taken",
    ),
    Hazard(
        name="signal-handlers-replaced",
        file="app/metering/meter.py",
        old="        allow_multiple_runs=True,\n",
        new="        allow_multiple_runs=False,\n",
        test=f"{METER}::test_no_outside_service_is_asked_and_no_signal_is_taken",
    ),
    Hazard(
        name="absent-read-as-zero",
        file="app/metering/meter.py",
        old="if facts.method in {Method.ABSENT, Method.UNAVAILABLE} or facts.source is None:\n",
        new="if energy_j is None:\n",
        test=f"{METER}::test_an_absent_component_is_null_and_not_zero",
    ),
    Hazard(
        name="blind-gpu-read-as-zero",
        file="app/metering/meter.py",
        old="    blind = [device for device in devices if not _has_sensor(device)]\n",
        new="    blind = []\n",
        test=f"{SENSORS}::test_a_gpu_without_any_sensor_is_not_measured_as_nothing",
    ),
    Hazard(
        name="socket-taken-for-a-mirror",
        file="app/metering/meter.py",
        old="        self._tracker = _start_apart(codecarbon)\n",
        new="        self._tracker = _start_tracker(codecarbon)\n",
        test=f"{RAPL}::test_two_live_sockets_whose_counters_stand_alike_are_both_read",
    ),
    Hazard(
        name="socket-left-out-silently",
        file="app/metering/meter.py",
        old="            left_out=_left_out(self._cpu),\n",
        new="",
        test=f"{RAPL}::test_a_socket_that_stays_too_near_to_another_is_named",
    ),
    Hazard(
        name="mirror-taken-for-a-socket",
        file="app/metering/rapl.py",
        old="        if all(_apart(suspect, file) for file in kept)\n",
        new="        if kept\n",
        test=f"{RAPL}::test_mirrors_of_one_counter_are_counted_once_and_nothing_is_left_out",
    ),
    Hazard(
        name="denied-socket-left-out-of-the-sum",
        file="app/metering/meter.py",
        old="    reason = powercap.missing(Path(interface._lin_rapl_dir))\n",
        new="    reason = None\n",
        test=f"{RAPL}::test_a_socket_that_cannot_be_read_beside_one_that_can_is_no_measurement",
    ),
    Hazard(
        name="lost-socket-read-as-zero",
        file="app/metering/sensors.py",
        old="        if not measured or file.sample_skipped:\n",
        new="        if not measured:\n",
        test=f"{SENSORS}::test_a_socket_that_cannot_be_read_any_more_leaves_no_sum_without_it",
    ),
    Hazard(
        name="reset-taken-for-a-wrap",
        file="app/metering/sensors.py",
        old="    if not 0 <= joules <= most_w * (span_s + LATE_S):\n",
        new="    if not joules >= 0:\n",
        test=f"{SENSORS}::test_a_reset_of_a_package_is_no_energy_of_a_whole_range",
    ),
    Hazard(
        name="gpu-set-back-taken-for-an-outage",
        file="app/metering/sensors.py",
        old="        if not known and moved_j == 0:\n",
        new="        if not known:\n",
        test=f"{SENSORS}::test_a_gpus_counter_that_was_reset_has_jumped",
    ),
    Hazard(
        name="loss-of-an-outage-hidden",
        file="app/metering/sensors.py",
        old="        if self._lost:\n",
        new="        if False:\n",
        test=f"{SENSORS}::test_a_socket_that_comes_back_is_no_figure_and_the_next_run_is_right",
    ),
    Hazard(
        name="powerless-gpu-read-as-zero",
        file="app/metering/sensors.py",
        old="        known = measured and (gained_j > 0 or not device._use_power_fallback)\n",
        new="        known = True\n",
        test=f"{SENSORS}::test_a_gpu_that_shows_no_power_any_more_is_null_and_not_zero",
    ),
    Hazard(
        name="gpu-counter-replaced-by-power",
        file="app/metering/sensors.py",
        old="        known = measured and not device._use_power_fallback\n",
        new="        known = measured\n",
        test=f"{SENSORS}::test_a_gpus_counter_has_counted_on_while_it_could_not_be_read",
    ),
    Hazard(
        name="one-gpus-error-takes-all-out",
        file="app/metering/sensors.py",
        old="        gained_j = joules_from_kwh(float(self._seen)) if measured else 0.0\n",
        new="        measured, gained_j = True, joules_from_kwh(float(self._seen))\n",
        test=f"{SENSORS}::test_a_device_that_takes_all_others_out_of_codecarbons_sum",
    ),
    Hazard(
        name="conditions-delay-the-joules",
        file="app/worker/recorder.py",
        old="        energies, moment_s = self._joules()\n",
        new="        self._conditions.read(job)\n        energies, moment_s = self._joules()\n",
        test=f"{RECORDER}::test_conditions_are_read_after_everything_that_has_a_moment",
    ),
    Hazard(
        name="held-up-reading-tells-its-moment-badly",
        file="app/worker/recorder.py",
        old="                found = min(found, self._timed(), key=lambda taken: taken.took_s)\n",
        new="                pass\n",
        test=f"{RECORDER}::test_a_reading_that_was_held_up_is_done_once_more",
    ),
    Hazard(
        name="conditions-at-every-mark",
        file="app/worker/recorder.py",
        old="        if now_s < self._conditions_due_s:\n",
        new="        if now_s < 0:\n",
        test=f"{RECORDER}::test_conditions_once_a_second_and_not_at_every_mark",
    ),
    Hazard(
        name="vanished-file-ends-the-run",
        file="app/metering/conditions.py",
        old="    except OSError:\n        return None\n",
        new="    except NotADirectoryError:\n        return None\n",
        test=f"{CONDITIONS}::test_a_file_that_vanishes_is_null_from_then_on",
    ),
)
