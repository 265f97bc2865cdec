"""The image that virtual machines of tests boot, with the environment baked in that their clusters will ask for.

An emulated processor takes minutes for what a real one installs in seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clusterctl.cluster_nodes import Cluster
from clusterctl.events import Reporter
from clusterctl.model import Facet, Machines, NodeState
from clusterctl.operations.plan import make_plan, run_prepare
from clusterctl.providers.base import machine_layout
from clusterctl.remote.base import Result
from clusterctl.testing import fake_node
from clusterctl.wiring.context import load_context

from . import vms
from .hosts import LOGIN, USER

if TYPE_CHECKING:
    from pathlib import Path

IPCLUSTER = """
PLUGINS = ipcluster

[plugin ipcluster]
ENGINES_PER_NODE = 1
ENGINE_TIMEOUT = 600
"""
"""What clusters on the image have in their configs; it ends in another section than the cluster's."""
_CONFIG = f"""
[global]
DEFAULT_TEMPLATE = lab

[cluster lab]
PROVIDER = static
HOSTS = vm0
CLUSTER_USER = {USER}
{IPCLUSTER}
[host vm0]
ADDRESS = 10.79.0.10
USER = {LOGIN}
KEY_LOCATION = {__file__}
HOST_KEY = ssh-ed25519 AAAA
"""


class _Recorder:
    """A node whose root script is kept, to be run where the image is made."""

    def __init__(self, node):
        self.node, self.commands, self.scripts = node, 0, []

    def run_script(self, script, **_):
        self.scripts.append(script)
        return Result(0, "", "")


def bake_script(folder: Path) -> str:
    """What puts the environment onto an image: the packages plugin's own work."""
    config = folder / "config"
    config.write_text(_CONFIG)
    events = []
    parts = load_context("bake", config_file=str(config), report=Reporter(events.append))
    plan = make_plan(parts, ["master"])
    facets = frozenset({Facet.MACHINE, Facet.INIT})
    node = fake_node(layout=machine_layout(USER), facets=facets, state=NodeState.RUNNING)
    recorder = _Recorder(node)
    parts.folder.ensure_exists()
    cluster = Cluster(
        "bake",
        machines=Machines(USER),
        nodes=[node],
        request=plan.request,
        folder=parts.folder.path,
        connector=lambda _: recorder,
        report=Reporter(events.append),
        notes={},
        remember=lambda *_: None,
        cluster_id=lambda: "",
    )
    run_prepare(parts, cluster, plan)
    parts.plugin_host.call_hook("packages", "clusterctl_bake", cluster=cluster, node=node)
    return "\n".join(f"(\n{script}\n)" for script in recorder.scripts)


@pytest.fixture(scope="session")
def vm_image(tmp_path_factory):
    """The image, built if this computer has not got it yet."""
    reason = vms.missing()
    if reason:
        pytest.skip(f"vm: {reason}")
    folder = tmp_path_factory.mktemp("baking")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLUSTERCTL_HOME", str(folder))
        script = bake_script(folder)
    return vms.build_image(script)
