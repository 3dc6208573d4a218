"""Limits of control groups, from trees as v1 and v2 lay them."""

import pytest

from app.metering.container import cpu_quota, in_container, memory_limit_bytes


@pytest.fixture
def tree(tmp_path):
    """A folder for /sys/fs/cgroup, and what /proc/self/cgroup would say."""

    def make(own, files):
        for name, text in files.items():
            path = tmp_path / "cgroup" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (tmp_path / "own").write_text(own)
        return tmp_path / "cgroup", tmp_path / "own"

    return make


V2, V1 = "0::/\n", "4:cpu,cpuacct:/docker/abc\n3:memory:/docker/abc\n"


def test_v2_in_a_container(tree):
    where = tree(V2, {"cpu.max": "150000 100000\n", "memory.max": "2147483648\n"})
    assert cpu_quota(*where) == 1.5
    assert memory_limit_bytes(*where) == 2 << 30


def test_v2_without_limits(tree):
    where = tree(V2, {"cpu.max": "max 100000\n", "memory.max": "max\n"})
    assert cpu_quota(*where) is None
    assert memory_limit_bytes(*where) is None


def test_v2_the_smallest_on_the_way_up_counts(tree):
    where = tree(
        "0::/user.slice/job.scope\n",
        {
            "user.slice/cpu.max": "100000 100000\n",
            "user.slice/job.scope/cpu.max": "400000 100000\n",
            "user.slice/job.scope/memory.max": "1024\n",
        },
    )
    assert cpu_quota(*where) == 1.0
    assert memory_limit_bytes(*where) == 1024


def test_v1_in_a_container_that_sees_its_group_as_the_root(tree):
    where = tree(
        V1,
        {
            "cpu/cpu.cfs_quota_us": "50000\n",
            "cpu/cpu.cfs_period_us": "100000\n",
            "memory/memory.limit_in_bytes": "536870912\n",
        },
    )
    assert cpu_quota(*where) == 0.5
    assert memory_limit_bytes(*where) == 512 << 20


def test_v1_without_limits(tree):
    where = tree(
        V1,
        {
            "cpu/cpu.cfs_quota_us": "-1\n",
            "cpu/cpu.cfs_period_us": "100000\n",
            "memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
    )
    assert cpu_quota(*where) is None
    assert memory_limit_bytes(*where) is None


def test_no_control_groups_limit_nothing(tmp_path):
    where = tmp_path / "none", tmp_path / "no own"
    assert cpu_quota(*where) is None
    assert memory_limit_bytes(*where) is None


def test_a_mark_of_a_runtime_is_a_container(tmp_path):
    assert not in_container((tmp_path / "mark",))
    (tmp_path / "mark").touch()
    assert in_container((tmp_path / "mark",))
