"""The cases of `old_faults` that show on machines that answer alone."""

from __future__ import annotations

from clusterctl_standin.bodies.waiting import until

from .old_fault_cases import Bench, Case, last_of, role_of


def no_spot(bench: Bench) -> str:
    """A7."""
    _config_for_bodies(bench)
    bench.cloud.capacity["*", "*", "spot"] = 0
    _, said = bench.run("selftest", "ec2", "--yes", "-c", "c")
    told = [line for line in said.splitlines() if "FAILED" in line or "error:" in line]
    if told:
        return f"another check fails: {told[0][:90]}"
    return "" if "had no spot instance" in said else f"does not say so: {last_of(said)}"


def doomed_worker(bench: Bench) -> str:
    """B2."""
    _config_for_bodies(bench, "CLUSTER_SIZE = 2\nSPOT_BID = 0.10")
    assert bench.bodies
    shell = bench.bodies.shell
    status, said = bench.start()
    if status:
        return f"no start: {last_of(said)}"
    (doomed,) = [one for one in bench.ids() if role_of(bench, one) != "master"]

    def lines() -> int:
        """Connections of its engines. One that waits for the end of the notice has none."""
        return int(shell(doomed, "ss -Htnp state established | grep -c '\"python' || true"))

    if not lines():
        return "no engine runs on the worker"
    bench.cloud.interrupt(doomed, notice_s=40, by_hand=True)
    until(lambda: not lines(), "the engines of the doomed node have gone", deadline_s=90)
    bench.start()
    return f"engines work on the node that will be taken: {lines()} connections" if lines() else ""


def _config_for_bodies(bench: Bench, more: str = "") -> None:
    """Write a config for machines that answer at private addresses, and share their homes without NFS."""
    (bench.home / "config").write_text(
        "[cluster c]\nPROVIDER = ec2\nNODE_IMAGE_ID = debian-12\nNODE_INSTANCE_TYPE = c7i.large\nCLUSTER_USER = me\n"
        f"ADDRESS = private\nALLOW_FROM = 192.0.2.7/32\nSHARED_HOME = yes\nPLUGINS = ipcluster\n{more}\n"
    )


MACHINE_CASES = {
    "A7": Case("`selftest` where no spot instance was had", no_spot, bodies=True),
    "B2": Case("`start` on a node with a notice", doomed_worker, bodies=True),
}
