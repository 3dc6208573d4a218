"""Every constant that an estimate rests on, as one versioned set with sources and years.

A further set is another entry of `SETS`: nothing else in this room holds a power figure. The sets
differ in what is central; the interval is the envelope of the same models under each. SPECpower
figures were recomputed in 2026 from the results published at spec.org/power_ssj2008.
"""

from dataclasses import dataclass, field
from typing import Literal

from app.domain.readings import Generation

PowerPoints = tuple[tuple[float, float], ...]  # (load from 0 to 1, watts or share), by load


@dataclass(frozen=True, kw_only=True)
class ServerRow:
    """Whole-server AC watts per hardware thread: idle, and low / median / high at full load."""

    idle_low_w: float
    idle_w: float
    idle_high_w: float
    full_low_w: float
    full_w: float
    full_high_w: float


def _row(idle_w: float, full_low_w: float, full_w: float, full_high_w: float) -> ServerRow:
    """A generation's row: only the median is published for its idle power."""
    return ServerRow(
        idle_low_w=idle_w,
        idle_w=idle_w,
        idle_high_w=idle_w,
        full_low_w=full_low_w,
        full_w=full_w,
        full_high_w=full_high_w,
    )


NAPLES = "EPYC 1 (Naples)"
ROME = "EPYC 2 (Rome)"
MILAN = "EPYC 3 (Milan)"
GENOA = "EPYC 9xx4 (Genoa)"
TURIN = "EPYC 9xx5 (Turin)"
SKYLAKE = "Skylake, Cascade Lake"
ICE_LAKE = "Ice Lake"
SAPPHIRE_RAPIDS = "Sapphire Rapids"
EMERALD_RAPIDS = "Emerald Rapids"
XEON_6 = "Xeon 6"

# SPECpower_ssj2008 results by CPU generation: idle median; p10, median, p90 at 100 %.
SPECPOWER: dict[str, ServerRow] = {
    NAPLES: _row(0.74, 2.21, 2.31, 2.79),
    ROME: _row(0.44, 1.53, 1.66, 1.92),
    MILAN: _row(0.42, 1.77, 1.92, 2.22),
    GENOA: _row(0.28, 1.26, 1.53, 1.94),
    TURIN: _row(0.21, 1.11, 1.17, 1.97),
    SKYLAKE: _row(0.55, 3.19, 4.08, 4.46),
    ICE_LAKE: _row(0.92, 3.55, 4.12, 4.96),
    SAPPHIRE_RAPIDS: _row(0.90, 3.09, 3.99, 4.95),
    EMERALD_RAPIDS: _row(0.82, 2.46, 3.26, 4.50),
    XEON_6: _row(0.64, 2.08, 2.66, 3.04),
}

# What a user may say of the host's CPU, and the row that it means.
GENERATIONS: dict[Generation, str] = {
    "naples": NAPLES,
    "rome": ROME,
    "milan": MILAN,
    "genoa": GENOA,
    "turin": TURIN,
    "skylake": SKYLAKE,
    "ice-lake": ICE_LAKE,
    "sapphire-rapids": SAPPHIRE_RAPIDS,
    "emerald-rapids": EMERALD_RAPIDS,
    "xeon-6": XEON_6,
}
AMD_GENERATIONS = frozenset({NAPLES, ROME, MILAN, GENOA, TURIN})

# SPECpower_ssj2008, every EPYC and Xeon result together: p5, median, p95 at idle and at 100 %.
SPECPOWER_UNKNOWN = ServerRow(
    idle_low_w=0.22,
    idle_w=0.59,
    idle_high_w=1.33,
    full_low_w=1.17,
    full_w=3.24,
    full_high_w=4.79,
)


@dataclass(frozen=True, kw_only=True)
class AssumptionSet:
    """One versioned set of constants; watts unless the name says otherwise."""

    name: str
    version: str

    # Whose figure of a component without a sensor is the central one
    central: Literal["codecarbon", "specpower"] = "codecarbon"

    # codecarbon 3.3.2 (2026), `external/hardware.py`: what its models draw at load 0, of the TDP
    codecarbon_idle_share: dict[str, float] = field(
        default_factory=lambda: {"codecarbon cpu_load": 0.1, "codecarbon constant": 0.5}
    )

    # SPECpower_ssj2008 results (2026), above
    specpower: dict[str, ServerRow] = field(default_factory=lambda: SPECPOWER)
    specpower_unknown: ServerRow = SPECPOWER_UNKNOWN

    # SPECpower results (2026): server AC over TDP × sockets at 0, 30, 50, 100 % load
    tdp_share_low: PowerPoints = ((0, 0.11), (0.3, 0.29), (0.5, 0.38), (1, 0.74))  # p5
    tdp_share: PowerPoints = ((0, 0.19), (0.3, 0.45), (0.5, 0.56), (1, 1.05))  # median
    tdp_share_high: PowerPoints = ((0, 0.44), (0.3, 0.72), (0.5, 0.86), (1, 1.41))  # p95

    # Boavizta (read in 2026): a CPU's own watts over its TDP at 0, 10, 50, 100 % load
    boavizta_tdp_share: PowerPoints = ((0, 0.12), (0.1, 0.32), (0.5, 0.75), (1, 1.02))

    # Cloud Carbon Footprint (2023), unknown x86 microarchitecture: wall watts a vCPU, 0 and 100 %
    ccf_idle_w: float = 0.74
    ccf_full_w: float = 3.5

    # Green Algorithms (2021): a core of an unknown CPU; two threads may share a core
    green_algorithms_core_w: float = 12.0
    threads_per_core: int = 2

    # What a vCPU of unknown threading may be at most: a whole core, so twice a thread
    whole_core_factor: float = 2.0

    # Wall watts hold RAM too: GB a thread of SPECpower's servers (2026), and Cloud Carbon
    # Footprint's watts a GB (2023), the RAM figure of the same kind of model. RAM draws less when
    # idle, and 0.392 W a GB at no load is more than the idle watts of EPYC Rome to Turin hold: the
    # central curves take off our floor of a GB (2026) there, and rise to 0.392 W at full load in a
    # line. Low and high curves take off 0.392 W at every load, and are cut at 0
    server_ram_gb_per_thread: float = 0.9
    server_ram_w_per_gb: float = 0.392

    # Wall over components: Boavizta (read in 2026), ×1.33 within 1.2–1.6; the range is set
    # against the 0.67–0.80 of a wall meter that codecarbon's sensors read (arXiv 2509.22092, 2025)
    wall_factor_low: float = 1.15
    wall_factor: float = 1.33
    wall_factor_high: float = 1.55

    # RAM without a counter: our floor, a GB as RAM is published (2026); codecarbon 3.3.2 (2026) at
    # what it calls 24 GB (20 W), which counts 2³⁰ bytes as one
    ram_low_w_per_gb: float = 0.10
    ram_high_w_per_gib: float = 0.83

    # RAM as it is published, watts a GB: Cloud Carbon Footprint (2023), Green Algorithms (2021),
    # Boavizta (read in 2026)
    ram_published_w_per_gb: dict[str, float] = field(
        default_factory=lambda: {
            "Cloud Carbon Footprint": 0.392,
            "Green Algorithms": 0.3725,
            "Boavizta": 0.284,
        }
    )

    # GPU of which only the TDP is known: shares of it, our judgement (2026)
    gpu_tdp_share_low: float = 0.4
    gpu_tdp_share: float = 0.7
    gpu_tdp_share_high: float = 1.0

    # Sensor errors, relative: RAPL by vendor, our judgement (2026); other CPU sensors as AMD's.
    # NVML: arXiv 2312.02741 (2023): A100 and H100 sample 25 % of the time
    rapl_error: dict[str, float] = field(default_factory=lambda: {"GenuineIntel": 0.05})
    cpu_sensor_error: float = 0.10
    ram_sensor_error: float = 0.10
    gpu_sensor_error: float = 0.05
    gpu_sparse_error: float = 0.15
    gpu_sparse_models: tuple[str, ...] = ("A100", "H100")
    gpu_short_s: float = 10.0


SETS: dict[str, AssumptionSet] = {
    "codecarbon": AssumptionSet(name="codecarbon", version="3"),
    "specpower": AssumptionSet(name="specpower", version="2", central="specpower"),
}
DEFAULT = SETS["codecarbon"]


@dataclass(frozen=True)
class Socket:
    """One socket of a server CPU: its hardware threads, and the TDP that codecarbon bills."""

    threads: int
    tdp_w: float


# number:threads:TDP, of CPUs whose threads were found in a source; others have no correction.
# Threads: Boavizta, boaviztapi's cpu_specs.csv; 7B12: published reports of bare machines, 64 cores;
# 8370C: Azure VMware Solution's AV64 node, 32 cores; read in 2026. TDP: codecarbon 3.3.2's
# cpu_power.csv. A trailing P (single-socket variant of the same EPYC) is left out.
_SOCKETS = """
7251:16:120 7281:32:170 7301:32:170 7351:32:170 7371:32:200 7401:48:170 7451:48:180 7501:64:170
7551:64:180 7601:64:180 7252:16:120 7262:16:155 7272:24:120 7282:32:120 7302:32:155 7352:48:155
7402:48:180 7452:64:155 7502:64:180 7542:64:225 7552:96:200 7642:96:225 7702:128:200 7742:128:225
7F32:16:180 7F52:32:240 7F72:48:240 7H12:128:280 7B12:128:240 72F3:16:180 7313:32:155 7343:32:190
73F3:32:240 7373X:32:240 7413:48:180 7443:48:200 7453:56:225 74F3:48:240 7473X:48:240 7513:64:200
7543:64:225 75F3:64:280 7573X:64:280 7643:96:225 7663:112:240 7713:128:225 7763:128:280
7773X:128:280 7R13:96:225 9124:32:200 9174F:32:320 9224:48:200 9254:48:200 9274F:48:320 9334:64:210
9354:64:280 9374F:64:320 9454:96:290 9474F:96:360 9534:128:280 9554:128:360 9634:168:290
9654:192:360 8124M:36:240 8151:24:240 8175M:48:240 8180:56:205 8253:32:125 8256:8:105 8259CL:48:210
8260:48:165 8268:48:205 8270:52:205 8275CL:48:240 8276:56:165 8280:56:205 8352M:64:185 8352S:64:205
8352V:72:195 8358:64:250 8360Y:72:250 8362:64:265 8368:76:270 8370C:64:205 8375C:64:300 8380:80:270
8462Y+:64:300 8468:96:350 8470:104:350 8480+:112:350 8490H:120:350 6154:36:200 6326:32:185
6330:56:205 6334:16:165 6342:48:230 6346:32:205 6348:56:235 6354:36:205 6430:64:270 6434:16:195
E5-2670V2:20:115 E5-2670V3:24:120 E5-2680V2:20:115 E5-2686V4:36:145
"""


def _sockets(text: str) -> dict[str, Socket]:
    """The table above by processor number, in capitals."""
    entries = (entry.split(":") for entry in text.split())
    return {number: Socket(int(threads), float(tdp_w)) for number, threads, tdp_w in entries}


SOCKETS: dict[str, Socket] = _sockets(_SOCKETS)
