"""Hazards of a host that is not quiet, and of its idle power."""

from hazard import Hazard

HAZARDS = (
    Hazard(
        name="starts-on-a-busy-host",
        file="app/worker/idle_monitor.py",
        old="        return look is None or (await self._is_quiet() is True and not self._lacks_idle)\n",
        new="        return True\n",
        test="tests/worker/test_idle_monitor.py::test_a_disturbed_one_is_taken_in_the_end_and_marked",
    ),
    Hazard(
        name="service-taken-for-others",
        file="app/worker/load_monitor.py",
        old="        others_s = (busy_s or 0.0) - (service_s or 0.0) - (counted.job_cpu_s or 0.0)\n",
        new="        others_s = (busy_s or 0.0) - (counted.job_cpu_s or 0.0)\n",
        test="tests/worker/test_load_monitor.py::test_the_share_is_that_of_the_last_second_without_the_service",
    ),
    Hazard(
        name="baseline-under-load",
        file="app/worker/idle.py",
        old="            if is_whole(self._meter, found):\n",
        new="            if True:\n",
        test="tests/worker/test_idle.py::test_a_busy_host_is_not_idle_unless_that_is_taken",
    ),
    Hazard(
        name="baseline-beside-a-busy-gpu",
        file="app/worker/idle.py",
        old="    shares = (idle.others_share, idle.service_share, idle.gpu_utilization)\n",
        new="    shares = (idle.others_share, idle.service_share)\n",
        test="tests/worker/test_idle.py::test_a_gpu_that_somebody_uses_is_not_idle",
    ),
    Hazard(
        name="calibrated-beside-a-busy-gpu",
        file="app/cli/calibrate.py",
        old='        "GPU is {} busy with other programs": fmean(used),\n',
        new="",
        test="tests/cli/test_calibrate.py::test_a_gpu_that_others_use_is_refused_and_an_idle_one_is_told",
    ),
    Hazard(
        name="idle-power-over-a-reset",
        file="app/worker/idle.py",
        old="    if any(after < before for before, after in pairwise(known)):\n        return None\n",
        new="",
        test="tests/worker/test_idle.py::"
        "test_a_counter_that_fell_is_no_idle_power_however_much_it_counted_since",
    ),
    Hazard(
        name="frozen-sensor-idles-at-zero",
        file="app/worker/idle.py",
        old="        if known[here] <= known[step]:\n            return None\n",
        new="",
        test="tests/worker/test_idle.py::test_a_counter_that_stands_still_is_no_idle_power",
    ),
    Hazard(
        name="baseline-of-another-start",
        file="app/worker/baseline_file.py",
        old='        if kept.belongs.boot_id != self._belongs.boot_id:\n            return "it was measured before the host was started the last time"\n        if kept.belongs != self._belongs:\n            return "it was measured with other hardware or other sensors"\n',
        new="",
        test="tests/worker/test_baseline_file.py::test_that_of_another_host_or_start_is_ignored",
    ),
    Hazard(
        name="job-and-idle-window-read-at-once",
        file="app/worker/idle_monitor.py",
        old="            async with self._alone:\n                await self._tick()\n",
        new="            await self._tick()\n",
        test="tests/worker/test_idle_monitor.py::test_a_job_holds_the_meter",
    ),
)
