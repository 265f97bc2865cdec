"""`python -m clusterctl_standin`: the stand-in by hand. It prints what the environment needs, and runs until Ctrl-C."""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
import threading

from . import faults
from .cloud import Cloud


def fault(text: str) -> faults.Fault:
    """A fault from its name, what it hits and its options: `Throttled:DescribeInstances:times=3`."""
    name, _, rest = text.partition(":")
    kind = getattr(faults, name, None)
    if not (isinstance(kind, type) and issubclass(kind, faults.Fault)):
        known = sorted(each.__name__ for each in faults.Fault.__subclasses__())
        raise argparse.ArgumentTypeError(f"no fault {name!r}; there are: {', '.join(known)}")
    fields = {each.name: type(each.default) for each in dataclasses.fields(kind)}
    given: dict[str, object] = {}
    for word in filter(None, rest.split(":")):
        key, is_option, value = word.partition("=")
        if not is_option:
            key, value = "action", word
        if key not in fields:
            raise argparse.ArgumentTypeError(f"{name} has no {key!r}; it has: {', '.join(fields)}")
        given[key] = fields[key](value)
    return kind(**given)


def limit(text: str) -> tuple[tuple[str, str, str], int]:
    """A capacity: `c7i.large,us-east-1a,spot=3`, each part may be `*`."""
    pool, _, count = text.partition("=")
    parts = pool.split(",")
    if len(parts) != 3 or not count.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not TYPE,ZONE,MARKET=NUMBER")
    return (parts[0], parts[1], parts[2]), int(count)


def seconds(text: str) -> float:
    """A time that passes."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def main(arguments: list[str]) -> int:
    """Run until told to stop; then say what was left over."""
    parser = argparse.ArgumentParser(prog="python -m clusterctl_standin", description=__doc__)
    parser.add_argument("--capacity", type=limit, action="append", default=[], metavar="TYPE,ZONE,MARKET=NUMBER")
    parser.add_argument("--fault", type=fault, action="append", default=[], metavar="NAME[:ACTION][:OPTION=VALUE]...")
    parser.add_argument("--boot-seconds", type=seconds, default=0.0, metavar="NUMBER", help="how long instances boot")
    parser.add_argument("--quiet", action="store_true", help="say nothing of the calls that arrive")
    options = parser.parse_args(arguments)
    stop = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: stop.set())
    with Cloud(boot_s=options.boot_seconds) as cloud:
        for pool, count in options.capacity:
            cloud.capacity[pool] = count
        cloud.faults.add(*options.fault)
        for name, value in cloud.environment().items():
            print(f"export {name}={value}", flush=True)
        said = 0
        while not stop.wait(0.5):
            calls = cloud.calls
            for call in calls[said:] if not options.quiet else ():
                words = f"{call.time:%H:%M:%S} {call.service} {call.action} {call.region}"
                print(f"{words} {call.status or 'no answer'} {call.error}".rstrip(), file=sys.stderr, flush=True)
            said = len(calls)
        for line in cloud.left():
            print(f"left: {line}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
