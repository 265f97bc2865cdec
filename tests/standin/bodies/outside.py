"""The network as it is seen from outside of EC2: what reaches bodies, and which of them reach anything.

From "Internet gateways" and "NAT gateways" of the VPC user guide: a public address leads to its instance, a private one
is no address outside of its VPC, and an instance without a public address reaches the internet by a NAT alone. Rules of
this computer's packet filter make it so; names are looked up for every body, as Amazon's resolver does it.
"""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..cloud import Cloud
    from ..instances.machine_view import Machine
    from .subnet import Subnet

_EVERYWHERE = "0.0.0.0/0"


@contextmanager
def from_outside(cloud: Cloud, bridge: str, subnet: Subnet) -> Iterator[None]:
    """Let this computer be outside of the cloud, whose bodies are on this bridge, as long as the context lasts."""
    seen: set[tuple[str, str]] = set()
    open_ways = True

    def look() -> None:
        now = {(each.private_address, _leads_to(cloud, each)) for each in cloud.machines() if each.runs}
        if open_ways and now != seen:
            _replace_rules(_rules(now, bridge, subnet))
            seen.clear()
            seen.update(now)

    try:
        _replace_rules(_rules((), bridge, subnet))
        for table, chain, name in _jumps(subnet):
            _run("iptables", "-w", "-t", table, "-I", chain, "-j", name)
        cloud.on_change(look)
        look()
        yield
    finally:
        open_ways = False
        close_ways(subnet)


def close_ways(subnet: Subnet) -> None:
    """Take the rules away, also those that a run has left which was killed."""
    if shutil.which("iptables-save") is None:
        return
    for table, chain, name in _jumps(subnet):
        if f":{name} " in _run("iptables-save", "-t", table):
            subprocess.run(["iptables", "-w", "-t", table, "-D", chain, "-j", name], capture_output=True, check=False)
            for act in ("-F", "-X"):
                _run("iptables", "-w", "-t", table, act, name)


def _jumps(subnet: Subnet) -> tuple[tuple[str, str, str], ...]:
    """The tables and chains that lead to ours, and the names of ours."""
    name = f"ec2-{subnet.key}"
    return ("nat", "OUTPUT", f"{name}-in"), ("filter", "OUTPUT", f"{name}-in"), ("filter", "FORWARD", f"{name}-out")


def _leads_to(cloud: Cloud, machine: Machine) -> str:
    """The public address of a machine; or the NAT by which it gets out, empty without one."""
    if machine.public_address:
        return machine.public_address
    ec2 = cloud.client("ec2", machine.region)
    own = {"Name": "association.subnet-id", "Values": [machine.subnet]}
    tables = ec2.describe_route_tables(Filters=[own])["RouteTables"]
    routes = (route for table in tables for route in table["Routes"])
    return next((r["NatGatewayId"] for r in routes if _is_nat(r)), "")


def _is_nat(route: dict[str, str]) -> bool:
    return bool(route.get("NatGatewayId")) and route.get("DestinationCidrBlock") == _EVERYWHERE


def _rules(machines: Iterable[tuple[str, str]], bridge: str, subnet: Subnet) -> str:
    """What `iptables-restore` reads: all of our chains, and what is in them."""
    nat, into, out = (name for _, _, name in _jumps(subnet))
    found = sorted(machines)
    public = [f"-A {nat} -d {way} -j DNAT --to-destination {own}" for own, way in found if way[:1].isdigit()]
    shut = [f"-A {out} -i {bridge} ! -o {bridge} -s {own} -j REJECT" for own, way in found if not way]
    new = "-m conntrack --ctstate NEW -m conntrack ! --ctstate DNAT"
    inside = f"-A {into} -o {bridge} -p tcp {new} -j REJECT --reject-with icmp-host-unreachable"
    lines = ["*nat", f":{nat} -", *public, "COMMIT", "*filter", f":{into} -", f":{out} -", inside, *shut, "COMMIT"]
    return "\n".join([*lines, ""])


def _replace_rules(rules: str) -> None:
    _run("iptables-restore", "-w", "--noflush", text=rules)


def _run(*command: str, text: str = "") -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}{text}"
    return done.stdout
