"""What the service guards against: for each hazard an edit that takes the guard away, and the test
that must fail then.

`docs/hazards.md` has a row for each; `check.py` beside this file makes the edits in a copy.
"""

from dataclasses import dataclass

ATTEMPTS, ATTEMPT = "tests/storage/test_attempts.py", "tests/worker/test_attempt.py"
METER, SENSORS = "tests/metering/test_meter.py", "tests/metering/test_sensors.py"
COMPONENTS, SERIES = "tests/accounting/test_components.py", "tests/accounting/test_series.py"
RECOVERY, QUEUE = "tests/storage/test_recovery.py", "tests/storage/test_queue.py"
PROCESS, REFERENCE = "tests/worker/test_process.py", "tests/test_reference.py"


@dataclass(frozen=True, kw_only=True)
class Hazard:
    """An edit of one file that takes a guard away, and the test that has to notice.

    Attributes:
        name: as in docs/hazards.md.
        file: what is edited.
        old: text that the file has exactly once.
        new: what stands there without the guard.
        test: file::function.
        signs: how the test notices. A `failure` is one of its own; an `error` is one of a fixture
            or its teardown, and a `hang` that the run does not end: each could as well be chance,
            so they count only where they are what must come without the guard.
    """

    name: str
    file: str
    old: str
    new: str
    test: str
    signs: tuple[str, ...] = ("failure",)


HAZARDS = (
    # the meter: codecarbon
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
        file="app/accounting/components.py",
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
        new="if energy is None:\n",
        test=f"{METER}::test_an_absent_component_is_null_and_not_zero",
    ),
    Hazard(
        name="blind-gpu-read-as-zero",
        file="app/metering/meter.py",
        old="    blind = [device for device in devices if not _has_sensor(device)]\n",
        new="    blind = []\n",
        test=f"{SENSORS}::test_a_gpu_without_any_sensor_is_not_measured_as_nothing",
    ),
    # accounting
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
        old="    if any(after[1] < before[1] for",
        new="    if any(after[1] < before[1] < 0 for",
        test=f"{SERIES}::test_faults",
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
        file="app/accounting/components.py",
        old='Correction(name="socket_share", factor=share,',
        new='Correction(name="socket_share", factor=1.0,',
        test=f"{COMPONENTS}::test_xeon_guest_of_known_tdp",
    ),
    Hazard(
        name="guess-billed-for-every-socket",
        file="app/accounting/components.py",
        old="Correction(name=GUESS_PER_SOCKET, factor=1 / sockets,",
        new="Correction(name=GUESS_PER_SOCKET, factor=1.0,",
        test=f"{COMPONENTS}::test_a_guess_is_billed_once_and_not_for_every_socket",
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
    # queue and database
    Hazard(
        name="no-fence-by-attempt",
        file="app/storage/attempts.py",
        old="            jobs.c.attempt == attempt,\n",
        new="",
        test=f"{ATTEMPTS}::test_the_fence_holds_off_every_other_attempt_and_status",
    ),
    Hazard(
        name="no-fence-by-status",
        file="app/storage/attempts.py",
        old="            jobs.c.status == JobStatus.RUNNING.value,\n",
        new="",
        test=f"{ATTEMPTS}::test_the_fence_holds_off_every_other_attempt_and_status",
    ),
    Hazard(
        name="write-stored-twice",
        file="app/storage/attempts.py",
        old="readings = readings[await _count(connection, job_id, attempt) - known :]\n",
        new="pass\n",
        test=f"{ATTEMPTS}::test_what_an_unanswered_write_has_stored_is_not_stored_twice",
    ),
    Hazard(
        name="no-lock-of-the-job",
        file="app/worker/attempt.py",
        old="        store.hold(host, job_id, again=again) as hold,\n",
        new="        store.hold(host, again=again) as hold,\n",
        test=f"{ATTEMPT}::test_the_sweep_leaves_a_job_alone_whose_worker_lives",
    ),
    Hazard(
        name="sweep-ignores-the-lock",
        file="app/storage/recovery.py",
        old="WHERE pg_try_advisory_xact_lock(hashtextextended(id, 0))\n",
        new="",
        test=f"{RECOVERY}::test_an_orphan_is_a_running_job_whose_lock_is_free",
    ),
    Hazard(
        name="lock-lost-with-a-restart-of-the-database",
        file="app/storage/recovery.py",
        old="          AND hosts.last_seen > now() - make_interval(secs => :lease_s)\n",
        new="          AND false\n",
        test=f"{RECOVERY}::test_a_host_that_says_it_runs_the_job_is_believed_for_a_lease",
    ),
    Hazard(
        name="no-sweep",
        file="app/worker/sweep.py",
        old="    for orphan in orphans:\n",
        new="    for orphan in orphans[:0]:\n",
        test=f"{ATTEMPT}::test_the_sweep_puts_a_lost_job_back_and_its_energy_is_spent",
    ),
    Hazard(
        name="no-end-of-attempts",
        file="app/worker/sweep.py",
        old="    elif orphan.attempt >= bench.settings.max_attempts:\n",
        new="    elif orphan.attempt < 0:\n",
        test=f"{ATTEMPT}::test_the_sweep_fails_a_job_whose_attempts_are_used_up",
    ),
    Hazard(
        name="two-sweeps-at-once",
        file="app/storage/recovery.py",
        old="FOR UPDATE OF jobs SKIP LOCKED\n",
        new="",
        test=f"{RECOVERY}::test_two_menders_at_once_make_one_task",
    ),
    Hazard(
        name="put-back-without-a-task",
        file="app/storage/attempts.py",
        old="            queue_id = await self.defer(connection, job_from(row))\n",
        new="            queue_id = old_task\n",
        test=f"{ATTEMPTS}::test_a_job_that_was_put_back_runs_again",
    ),
    Hazard(
        name="waiting-job-without-a-task",
        file="app/storage/recovery.py",
        old="            for row in forgotten:\n",
        new="            for row in forgotten[:0]:\n",
        test=f"{RECOVERY}::test_a_waiting_job_whose_task_is_gone_gets_a_new_one",
    ),
    Hazard(
        name="cancelled-job-put-back",
        file="app/storage/attempts.py",
        old=", back, ~jobs.c.cancel_requested)",
        new=", back)",
        test=f"{ATTEMPTS}::test_a_job_that_its_user_cancelled_is_not_put_back",
    ),
    Hazard(
        name="listener-gives-up",
        file="app/storage/queue.py",
        old="            await asyncio.sleep(LISTEN_AGAIN_S)\n",
        new="            return\n",
        test=f"{QUEUE}::test_a_worker_listens_again_after_refused_connections",
    ),
    Hazard(
        name="heartbeat-gives-up",
        file="app/storage/queue.py",
        old='            logger.warning("the queue does not take the heartbeat: %s", '
        "error.__cause__ or error)\n",
        new="            raise\n",
        test=f"{QUEUE}::test_a_lost_heartbeat_is_no_end",
    ),
    Hazard(
        name="worker-without-a-database-trains-on",
        file="app/worker/watchdog.py",
        old="        if time.monotonic() - self._since_s >= self._patience_s:\n",
        new="        if time.monotonic() - self._since_s < 0:\n",
        test="tests/worker/test_watchdog.py::"
        "test_after_its_patience_it_ends_what_is_guarded_and_gives_up_once",
    ),
    # processes
    Hazard(
        name="child-outlives-the-fork-server",
        file="app/worker/child.py",
        old="    die_with_parent(parent=preload.PID)\n",
        new="",
        test="tests/worker/test_child.py::test_it_does_not_outlive_the_fork_server",
    ),
    Hazard(
        name="fork-server-outlives-the-worker",
        file="app/worker/preload.py",
        old="die_with_parent(parent=int(os.environ[WORKER_PID]))\n",
        new="",
        test=f"{PROCESS}::test_nobody_outlives_a_killed_worker",
    ),
    Hazard(
        name="worker-outlives-the-supervisor",
        file="app/supervisor.py",
        old="            die_with_parent(signal.SIGKILL, parent=supervisor)\n",
        new="            pass\n",
        test="tests/test_supervisor.py::test_a_killed_supervisor_leaves_nothing",
        signs=("failure", "hang"),  # the worker that is left holds the pipe that pytest reads
    ),
    Hazard(
        name="database-outlives-the-supervisor",
        file="app/storage/embedded.py",
        old="            die_with_parent(signal.SIGINT, parent=parent)\n",
        new="            pass\n",
        test="tests/storage/test_embedded.py::test_it_dies_in_order_with_a_killed_starter",
    ),
    Hazard(
        name="reading-fails-and-the-child-waits",
        file="app/worker/process.py",
        old="            code = self._end()\n",
        new="            code = None\n",
        test=f"{PROCESS}::test_a_meter_that_fails_ends_the_process_and_names_the_error",
    ),
    Hazard(
        name="two-measured-jobs-on-a-host",
        file="app/worker/gate.py",
        old="        while not try_lock(descriptor):\n",
        new="        while False:\n",
        test="tests/worker/test_gate.py::test_the_second_waits_for_the_first",
    ),
    Hazard(
        name="two-measured-jobs-without-a-shared-file",
        file="app/worker/attempt.py",
        old="        store.hold(host, job_id, again=again) as hold,\n",
        new="        store.hold(job_id, again=again) as hold,\n",
        test=f"{ATTEMPT}::test_two_workers_that_share_a_host_and_no_lock_file_take_turns",
    ),
    Hazard(
        name="out-of-memory-taken-for-a-kill",
        file="app/worker/outcome.py",
        old="    if exit_code == -signal.SIGKILL and oom_kills:\n",
        new="    if exit_code == signal.SIGKILL and oom_kills:\n",
        test="tests/worker/test_outcome.py::test_every_way_to_end",
    ),
    Hazard(
        name="ended-child-takes-its-seconds-away",
        file="app/metering/counters.py",
        old="        return alive + ended - self._ended_before_s\n",
        new="        return alive\n",
        test="tests/metering/test_counters.py::"
        "test_an_ended_child_of_the_fork_server_keeps_its_seconds",
    ),
)
