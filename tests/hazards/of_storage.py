"""Hazards of the queue and the database."""

from hazard import Hazard

ATTEMPTS = "tests/storage/test_attempts.py"
ATTEMPT = "tests/worker/test_attempt.py"
RECOVERY = "tests/storage/test_recovery.py"
QUEUE = "tests/storage/test_queue.py"

HAZARDS = (
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
        name="trained-while-stored-as-waiting",
        file="app/worker/attempt.py",
        old="        if not await self._is_stored(Stage.STARTING):\n            return False\n",
        new="",
        test="tests/worker/test_waiting.py::"
        "test_nothing_trains_before_it_is_stored_that_the_wait_is_over",
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
)
