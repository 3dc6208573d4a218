"""Hazards of processes."""

from hazard import Hazard

ATTEMPT = "tests/worker/test_attempt.py"
PROCESS = "tests/worker/test_process.py"

HAZARDS = (
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
    Hazard(
        name="silent-meter-keeps-the-job",
        file="app/worker/sampling.py",
        old="            end()\n",
        new="",
        test="tests/worker/test_attempt.py::test_a_meter_that_gives_no_reading_ends_the_job_by_itself",
    ),
    Hazard(
        name="cancelled-while-claimed",
        file="app/worker/attempt.py",
        old="        job, cancelled = await _whole(again(claim))\n",
        new="        job, cancelled = await again(claim), None\n",
        test="tests/worker/test_waiting.py::test_what_is_cancelled_while_it_is_claimed_is_not_forgotten",
    ),
    Hazard(
        name="claim-without-an-answer",
        file="app/worker/attempt.py",
        old="stage, attempt=unsure)\n",
        new="stage)\n",
        test=f"{ATTEMPT}::test_a_claim_whose_answer_is_lost_is_no_lost_attempt",
    ),
    Hazard(
        name="claimed-before-announced",
        file="app/worker/attempt.py",
        old="        await announce(job_id)\n",
        new="",
        test="tests/worker/test_loop.py::test_a_host_says_what_it_takes_before_it_takes_it",
    ),
    Hazard(
        name="handed-out-without-an-answer",
        file="app/storage/queue.py",
        old="                await self._let_go(worker_id)\n",
        new="                pass\n",
        test="tests/storage/test_queue.py::test_what_was_handed_out_without_an_answer_is_not_forgotten",
    ),
)
