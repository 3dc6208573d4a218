"""What the meter saw: cumulative counters at boundaries and once a second, and the host's facts."""

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BeforeValidator, Field

from app.domain.quantities import Frozen


class Phase(StrEnum):
    """A part of a run; the phases tile it, so that their energies add up to the whole."""

    SETUP = "setup"  # from the start of the process to the first step: data, model, tracing
    EPOCH = "epoch"  # training steps only
    VALIDATION = "validation"  # the validation set after an epoch
    EVALUATION = "evaluation"  # the test set
    END = "end"  # the process takes itself down
    OTHER = "other"  # between the phases of a training that runs outside of the service


class Method(StrEnum):
    """How the energy of a component is known."""

    MEASURED = "measured"  # a sensor's counter
    ESTIMATED = "estimated"  # a power model with facts of this host
    ASSUMED = "assumed"  # a power model with guessed facts
    ABSENT = "absent"  # the component does not exist
    UNAVAILABLE = "unavailable"  # it exists and cannot be read


class ComponentFacts(Frozen):
    """How one component (cpu, gpu, ram) is read on this host."""

    method: Method
    source: str | None = None  # "codecarbon cpu_load", "codecarbon intel_rapl", …
    reason: str | None = None  # why it or a part of it cannot be read, and the cure
    # Thermal design power that the model works with, in watts: of all sockets that codecarbon
    # bills (CPU), or of all devices without a sensor (GPU).
    tdp_w: float | None = None
    tdp_guessed: bool = False  # codecarbon's guess of 4 W a thread, not a table's entry
    # How many sockets are in `tdp_w`. Of a guess, 4 W × all threads already is the whole machine,
    # and codecarbon bills that once for every socket shown. Null where it does not multiply.
    sockets: int | None = None
    constant_w: float | None = None  # a flat power (RAM), in watts


class Sensor(Frozen):
    """One hardware counter behind a component: a RAPL package, a GPU."""

    name: str  # "package-0", "GPU 0"
    component: Literal["cpu", "gpu"]
    range_j: float | None = None  # joules after which the counter begins anew; null: not known


class MeterFacts(Frozen):
    """How every component is read, and by which version of codecarbon."""

    cpu: ComponentFacts
    gpu: ComponentFacts
    ram: ComponentFacts
    codecarbon: str
    sensors: tuple[Sensor, ...] = ()  # those that `Reading.sensors_j` counts, in its order
    # Sensors of the host that codecarbon leaves out although they count on their own, by name: it
    # takes two RAPL packages whose counters stand alike at its start for one.
    left_out: tuple[str, ...] = ()


Generation = Literal[
    "naples",
    "rome",
    "milan",
    "genoa",
    "turin",
    "skylake",
    "ice-lake",
    "sapphire-rapids",
    "emerald-rapids",
    "xeon-6",
]
"""A server CPU's generation as a user names it; each is a row of the SPECpower table."""


class KnownFacts(Frozen):
    """What the user knows of the host better than it shows; null where nothing was said."""

    cpu_tdp_w: float | None = None  # thermal design power of one socket, in watts
    socket_threads: int | None = None  # hardware threads of one socket
    cpu_generation: Generation | None = None
    vcpu_is_core: bool | None = None  # whether a vCPU is a whole core, and not a thread of one
    wall_factor: float | None = None  # energy at the plug over that of the components


class HostFacts(Frozen):
    """The machine under the measurement, as far as it shows itself."""

    name: str
    boot_id: str | None
    os: str
    python: str
    cpu_vendor: str | None  # "AuthenticAMD", "GenuineIntel", …
    cpu_model: str | None  # the name that the kernel gives
    cpu_family: int | None
    cpu_model_number: int | None
    logical_cpus: int  # usable by us: affinity and cgroup quota, rounded up
    host_cpus: int  # online on the host
    memory_gib: float
    gpus: tuple[str, ...] = ()
    virtual_machine: bool = False
    container: bool = False
    cpu_quota: float | None = None  # CPUs' worth of time that a control group allows
    memory_limit_gib: float | None = None  # what a control group allows
    known: KnownFacts = KnownFacts()
    matmul_flops_per_s: dict[str, float] = {}  # at most, by precision, as its worker measured


def _at_most_all(value: object) -> object:
    """A share of a span that two clocks give may come out a little above 1, in old readings too."""
    return 1.0 if isinstance(value, float) and 1 < value < 1 + CLOCKS_APART else value


CLOCKS_APART = 0.1
IDLE_MOST_W = 100_000.0
"""More than all sockets or all GPUs of any host draw, so that it is no idle power."""

IdleWatts = Annotated[float, Field(ge=0, le=IDLE_MOST_W)]
Share = Annotated[float, Field(ge=0, le=1), BeforeValidator(_at_most_all)]


class IdlePower(Frozen):
    """What the meter's counters showed while the host did nothing, in watts.

    A component has a figure where a sensor counts it; null elsewhere.
    """

    taken_at: AwareDatetime  # UTC, at the end of the window
    window_s: Annotated[float, Field(gt=0)]
    cpu_w: IdleWatts | None
    gpu_w: IdleWatts | None
    others_share: Share | None  # of the host's CPU time that other programs used meanwhile
    service_share: Share | None  # and that this service used
    gpu_utilization: Share | None = None  # mean of the GPUs and of the window
    calibrated: bool = False  # by `trainwatt calibrate`: kept as it is until it is too old


class Quiet(Frozen):
    """Whether the host was quiet when the run began, and how long the run waited for that."""

    waited_s: float
    others_share: float | None  # of the host's CPU time, in the last second before the run
    quiet: bool | None  # null: not known yet


class Reading(Frozen):
    """All counters at one moment.

    Energies are codecarbon's cumulative joules, null where the component is absent or
    unavailable; CPU-seconds are cumulative too, null where they cannot be read. Only differences
    between two readings of one attempt mean something.
    """

    t_s: float  # monotonic seconds since the attempt's first reading
    cpu_j: float | None
    gpu_j: float | None
    ram_j: float | None
    host_busy_s: float | None = None  # CPU-seconds of everything on the host
    host_steal_s: float | None = None  # CPU-seconds that the hypervisor took
    job_cpu_s: float | None = None  # CPU-seconds of the job's process
    service_cpu_s: float | None = None  # CPU-seconds of API, worker, database, fork server
    # CPU-seconds of the worker's whole process: meter, events, storing, sweep; part of the
    # service's, and an upper bound of what measuring costs.
    instrument_cpu_s: float | None = None
    sensors_j: tuple[float | None, ...] = ()  # cumulative joules of each of `MeterFacts.sensors`
    # Conditions, once a second: null at readings between, and where the host does not show them.
    memory_used_gib: float | None = None  # of the host
    job_memory_gib: float | None = None  # resident, of the job's process
    swapped_mib: float | None = None  # cumulative, both ways, of the host
    cpu_mhz: float | None = None  # mean of up to eight CPUs
    cpu_temperature_c: float | None = None  # of the package, the hottest of several
    gpu_temperature_c: float | None = None  # of the hottest device
    gpu_utilization: float | None = None  # from 0 to 1, mean of the devices
    begins: Phase | None = None  # the phase that begins here
    index: int | None = None  # its epoch, from 0
    ended: dict[str, Any] = {}  # facts of the phase that ends here (loss, samples, …)

    def to_json(self) -> str:
        """JSON without the fields that have their default: a later field changes no old text."""
        return self.model_dump_json(exclude_defaults=True)


class Readings(Frozen):
    """Everything that one attempt of a job left behind: a report is computed from this alone."""

    attempt: int
    started_at: datetime  # UTC, at the first reading
    host: HostFacts
    meter: MeterFacts
    sample_interval_s: float = 1.0  # seconds between readings, as they were asked for
    governor: str | None = None  # of the CPU's frequency at the first reading, as "performance"
    idle: IdlePower | None = None  # the newest that was known when the run began
    quiet: Quiet | None = None  # null: nobody looked
    readings: tuple[Reading, ...]

    def to_bytes(self) -> bytes:
        """Canonical JSON without defaults: the same readings give the same bytes."""
        return self.model_dump_json(exclude_defaults=True).encode()

    def sha256(self) -> str:
        """The hash of `to_bytes`, as hexadecimal."""
        return hashlib.sha256(self.to_bytes()).hexdigest()
