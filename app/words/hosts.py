"""Hosts in words: how one measures, and what would make its figures surer."""

from collections.abc import Iterator

from app.domain.hosts import Host
from app.domain.readings import ComponentFacts, Method
from app.words.units import quantity


def reads(part: ComponentFacts) -> str:
    """How a component is read: `measured, codecarbon intel_rapl`."""
    return ", ".join(filter(None, [part.method.value, part.source]))


def idle(host: Host) -> str:
    """The idle power that is known of a host, and how."""
    baseline = host.baseline
    if baseline is None or baseline.power_w is None:
        return "not known"
    over = f" over {baseline.window_s:.0f} s" if baseline.window_s else " by its model"
    return f"{quantity(baseline.power_w, 'W')}, {baseline.method.value}{over}"


def advice(host: Host) -> Iterator[str]:
    """What would make the figures of this host surer, a sentence each; nothing where all is well.

    As the reasons of a report say it, before a job has run.
    """
    if host.meter is None:
        return
    cpu, gpu = host.meter.cpu, host.meter.gpu
    if cpu.reason:
        yield f"CPU: {cpu.reason}"
    if cpu.method in (Method.ESTIMATED, Method.ASSUMED):
        if cpu.tdp_guessed and host.facts.known.cpu_tdp_w is None:
            yield (
                "The CPU's rated power is guessed. Start the worker with `TRAINWATT_CPU_TDP_W`"
                + ("" if not host.facts.virtual_machine else " and `TRAINWATT_SOCKET_THREADS`")
                + " if you know it, or measure on a host with a readable sensor (RAPL)."
            )
        else:
            yield "The CPU's energy is modelled. A host with a readable sensor (RAPL) measures it."
    if gpu.reason:
        yield f"GPU: {gpu.reason}"
    measured = Method.MEASURED in (cpu.method, gpu.method)
    if measured and (host.baseline is None or host.baseline.power_w is None):
        yield "Idle power is not known. Run `trainwatt calibrate` while no job runs."
