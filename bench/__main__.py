"""`python -m bench [NAME …]`: run the named benches, or all of them."""

import argparse

from bench import (
    contention,
    demo,
    determinism,
    events,
    experiments,
    fit,
    idle,
    instrument,
    latency,
    pages,
    quotes,
    scale,
    sensors,
    settings,
    throughput,
    training,
)
from bench.record import write

BENCHES = {
    "latency": latency.run,
    "events": events.run,
    "experiments": experiments.run,
    "fit": fit.run,
    "instrument": instrument.run,
    "sensors": sensors.run,
    "contention": contention.run,
    "idle": idle.run,
    "scale": scale.run,
    "pages": pages.run,
    "quotes": quotes.run,
    "throughput": throughput.run,
    "training": training.run,
    "settings": settings.run,
    "determinism": determinism.run,
    "demo": demo.run,
}


def main() -> None:
    """Run and record, one after the other: two at once would disturb each other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(BENCHES), help=", ".join(BENCHES))
    for name in parser.parse_args().names:
        if name not in BENCHES:
            parser.error(f"expected one of {', '.join(BENCHES)}, received {name!r}")
        path = write(name, BENCHES[name]())
        print(path.read_text())


if __name__ == "__main__":
    main()
