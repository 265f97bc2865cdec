"""The import rules hold, each of them can be broken, and the guards around the tests guard."""

from __future__ import annotations

import copy
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
importlinter = pytest.importorskip("importlinter", reason="importlinter: is not installed")


@pytest.fixture(scope="module")
def rules():
    """The contracts of .importlinter by their id, and the graph of all imports."""
    import grimp
    from importlinter.application.use_cases import read_user_options
    from importlinter.configuration import configure
    from importlinter.contracts.forbidden import ForbiddenContract
    from importlinter.contracts.independence import IndependenceContract
    from importlinter.contracts.layers import LayersContract
    from importlinter.contracts.protected import ProtectedContract

    configure()
    kinds = {
        "layers": LayersContract,
        "forbidden": ForbiddenContract,
        "independence": IndependenceContract,
        "protected": ProtectedContract,
    }
    options = read_user_options(config_filename=str(ROOT / ".importlinter"))
    graph = grimp.build_graph(*options.session_options["root_packages"], include_external_packages=True, cache_dir=None)
    contracts = {
        each["id"]: kinds[each["type"]](each["name"], options.session_options, each)
        for each in options.contracts_options
    }
    return graph, contracts


def keeps(rules, contract, *imports):
    graph, contracts = rules
    tried = copy.deepcopy(graph)
    for importer, imported in imports:
        for module in (importer, imported):
            if module not in tried.modules:
                tried.add_module(module, is_squashed=not module.startswith("clusterctl"))
        tried.add_import(importer=importer, imported=imported, line_number=1, line_contents="import")
    return contracts[contract].check(tried, verbose=False).kept


CONTRACTS = (
    "layers",
    "cli",
    "wiring",
    "operations",
    "cli-composes",
    "config",
    "login",
    "node",
    "ec2",
    "on-node-is-data",
    "on-node-system",
    "on-node-with-dask",
    "on-node-with-ipyparallel",
    "on-node-in-engine",
    "compute",
    "engines",
    "learning",
    "faces",
    "together",
    "clients",
    "core-knows-no-plugin",
    "plugins-know-the-api",
    "plugins-are-independent",
    "providers",
    "remote",
    "pure",
    "connectors",
    "outside",
)

BREAKS = [
    # Up, sideways, and past the module that is meant.
    ("layers", "clusterctl.model", "clusterctl.journal"),
    ("layers", "clusterctl.errors", "clusterctl.model"),
    ("layers", "clusterctl.operations.start", "clusterctl.wiring.context"),
    ("layers", "clusterctl.operations.joining.join", "clusterctl.cli.output"),
    ("layers", "clusterctl.wiring.context", "clusterctl.cli.main"),
    ("layers", "clusterctl.planning", "clusterctl.api"),
    ("layers", "clusterctl.config.loading", "clusterctl.hub"),
    ("layers", "clusterctl.api", "clusterctl.testing"),
    ("layers", "clusterctl.plugin.host", "clusterctl.node.services"),
    ("layers", "clusterctl.cluster_nodes", "clusterctl.tunnel.process"),
    ("layers", "clusterctl.providers.base", "clusterctl.cluster_nodes"),
    ("layers", "clusterctl.remote.base", "clusterctl.node.services"),
    ("layers", "clusterctl.identity.known_hosts", "clusterctl.remote.auth"),
    ("layers", "clusterctl.hub", "clusterctl.api"),
    ("layers", "clusterctl.a_new_file", "clusterctl.model"),
    ("cli", "clusterctl.cli.nodes.client", "clusterctl.cli.clusters.lifecycle"),
    ("cli", "clusterctl.cli.setup.image", "clusterctl.cli.aws.gc"),
    ("cli", "clusterctl.cli.output", "clusterctl.cli.main"),
    ("wiring", "clusterctl.wiring.local_paths", "clusterctl.wiring.providers"),
    ("wiring", "clusterctl.wiring.client", "clusterctl.wiring.context"),
    ("wiring", "clusterctl.wiring.a_new_file", "clusterctl.model"),
    ("operations", "clusterctl.operations.joining.join", "clusterctl.operations.start"),
    ("operations", "clusterctl.operations.context", "clusterctl.operations.joining.wavefront"),
    ("operations", "clusterctl.operations.status", "clusterctl.operations.nodes.access"),
    ("operations", "clusterctl.operations.a_new_file", "clusterctl.model"),
    ("operations", "clusterctl.operations.account.volumes", "clusterctl.operations.selftest.run"),
    ("cli-composes", "clusterctl.cli.clusters.lifecycle", "clusterctl.journal"),
    ("cli-composes", "clusterctl.cli.nodes.client", "clusterctl.tunnel.process"),
    ("cli-composes", "clusterctl.cli.aws.volumes", "clusterctl.providers.ec2.aws"),
    ("config", "clusterctl.config.settings", "clusterctl.config.loading"),
    ("config", "clusterctl.config.ini", "clusterctl.config.starcluster"),
    ("login", "clusterctl.remote.gateways", "clusterctl.remote.login"),
    ("login", "clusterctl.remote.transfer", "clusterctl.remote.gateways"),
    ("node", "clusterctl.node.systemd", "clusterctl.node.supervisord"),
    ("ec2", "clusterctl.providers.ec2.launch.fleets", "clusterctl.providers.ec2.pricing.quotas"),
    ("ec2", "clusterctl.providers.ec2.tags", "clusterctl.providers.ec2.images"),
    ("layers", "clusterctl.on_node.system.spot_watch", "clusterctl.errors"),
    ("layers", "clusterctl.on_node.with_ipyparallel.hub_client", "clusterctl.model"),
    ("on-node-is-data", "clusterctl.hub.questions", "clusterctl.on_node.with_ipyparallel.ask_hub"),
    ("on-node-is-data", "clusterctl_plugins.spot", "clusterctl.on_node.system.spot_watch"),
    ("on-node-system", "clusterctl.on_node.system.fetch_uv", "clusterctl.on_node.with_ipyparallel.hub_client"),
    ("on-node-system", "clusterctl.on_node.system.fetch_uv", "requests"),
    ("on-node-system", "clusterctl.on_node.system.a_new_file", "zmq"),
    ("on-node-with-ipyparallel", "clusterctl.on_node.with_ipyparallel.ask_hub", "clusterctl.on_node.system.carrier"),
    ("on-node-with-ipyparallel", "clusterctl.on_node.with_ipyparallel.patches.nanny", "psutil"),
    ("on-node-with-dask", "clusterctl.on_node.with_dask.page", "clusterctl.on_node.system.carrier"),
    ("on-node-in-engine", "clusterctl.on_node.in_engine.chunks", "clusterctl.on_node.with_ipyparallel.hub_client"),
    ("on-node-in-engine", "clusterctl.on_node.in_engine.a_new_file", "ipyparallel"),
    ("compute", "clusterctl.compute.channel", "clusterctl.compute.dispatch"),
    ("compute", "clusterctl.compute.results", "clusterctl.compute.pool"),
    ("engines", "clusterctl.compute.engines.crew", "clusterctl.compute.engines.replies"),
    ("learning", "clusterctl.compute.learning.fitting", "clusterctl.compute.learning.backend"),
    ("faces", "clusterctl.compute.faces.methods", "clusterctl.compute.faces.executor"),
    ("together", "clusterctl.compute.together.rounds", "clusterctl.compute.together.meeting"),
    ("compute", "clusterctl.compute.a_new_file", "clusterctl.errors"),
    ("layers", "clusterctl.compute.dispatch", "clusterctl.wiring.client"),
    ("layers", "clusterctl.clients.opening", "clusterctl.journal"),
    ("clients", "clusterctl.clients.here", "clusterctl.clients.opening"),
    ("clients", "clusterctl.clients.a_new_file", "clusterctl.errors"),
    ("core-knows-no-plugin", "clusterctl.plugin.host", "clusterctl_plugins.packages"),
    ("core-knows-no-plugin", "clusterctl.wiring.plugins", "clusterctl_plugins"),
    ("plugins-know-the-api", "clusterctl_plugins.ipcluster", "clusterctl.model"),
    ("plugins-know-the-api", "clusterctl_plugins.ipcluster", "clusterctl"),
    ("plugins-know-the-api", "clusterctl_plugins.a_new_file", "clusterctl.node.services"),
    ("plugins-know-the-api", "clusterctl_plugins.base.members", "clusterctl.model"),
    ("plugins-are-independent", "clusterctl_plugins.ipclusterstop", "clusterctl_plugins.ipcluster"),
    ("plugins-are-independent", "clusterctl_plugins.ipcluster.daemons", "clusterctl_plugins.base.options"),
    ("providers", "clusterctl.providers.local.provider", "clusterctl.remote.ssh"),
    ("providers", "clusterctl.providers.static.provider", "clusterctl.remote.gateways"),
    ("providers", "clusterctl.providers.base", "clusterctl.cluster_nodes"),
    ("remote", "clusterctl.remote.ssh", "clusterctl.providers.base"),
    ("remote", "clusterctl.remote.login", "clusterctl.providers.static"),
    ("remote", "clusterctl.cluster_nodes", "clusterctl.providers"),
    ("pure", "clusterctl.config.loading", "clusterctl.tunnel.publish"),
    ("pure", "clusterctl.planning", "clusterctl.plugin.host"),
    ("connectors", "clusterctl.cluster_nodes", "clusterctl.remote.ssh"),
    ("connectors", "clusterctl.operations.nodes.copies", "clusterctl.remote.transfer"),
    *(
        ("outside", importer, library)
        for importer, library in [
            ("clusterctl.planning", "jinja2"),
            ("clusterctl.cluster_nodes", "fabric"),
            ("clusterctl.remote.base", "paramiko"),
            ("clusterctl.remote.ssh", "fabric"),
            ("clusterctl.remote.transfer", "paramiko"),
            ("clusterctl.providers.static.hosts", "asyncssh"),
            ("clusterctl.tunnel.process", "asyncssh"),
            ("clusterctl.cluster_nodes", "pluggy"),
            ("clusterctl.journal", "cryptography"),
            ("clusterctl.wiring.ec2", "boto3"),
            ("clusterctl.hub", "ipyparallel"),
            ("clusterctl.operations.start", "click"),
            ("clusterctl.cli.main", "rich"),
            ("clusterctl.journal", "psutil"),
            ("clusterctl.wiring.providers", "uv"),
            ("clusterctl.model", "pydantic"),
            ("clusterctl_plugins.ipcluster", "jinja2"),
            ("clusterctl_plugins.ipcluster", "ipyparallel"),
        ]
    ),
]


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_rule_is_kept(rules, contract):
    assert keeps(rules, contract), "run `lint-imports` to see what breaks it"


def test_no_rule_goes_without_being_seen_to_fail(rules):
    assert set(rules[1]) == set(CONTRACTS) == {contract for contract, _, _ in BREAKS}


@pytest.mark.parametrize(("contract", "importer", "imported"), BREAKS, ids=lambda value: value)
def test_the_rule_can_be_broken(rules, contract, importer, imported):
    assert not keeps(rules, contract, (importer, imported))


GUARDED = {
    "test_socket": (
        "import socket\ndef test_it():\n    socket.create_connection(('127.0.0.1', 9))",
        "OutOfBoundsError",
    ),
    "test_process": ("import subprocess\ndef test_it():\n    subprocess.run(['true'])", "OutOfBoundsError"),
    "test_fork": ("import os\ndef test_it():\n    os.fork()", "OutOfBoundsError"),
    "test_forgiven": (
        "import socket\ndef test_it():\n    try:\n        socket.socket()\n    except Exception:\n        pass",
        "OutOfBoundsError",
    ),
    "test_environment": ("import os\ndef test_it():\n    os.environ['LEFT'] = 'x'", "environment changed: LEFT"),
    "test_folder": ("import os\ndef test_it():\n    os.chdir('/')", "current folder changed"),
    "test_skip": (
        "import pytest\n@pytest.mark.docker\ndef test_it():\n    pytest.skip('no engine')",
        "--require docker",
    ),
    "test_reason": ("import pytest\ndef test_it():\n    pytest.skip('vm: no qemu')", "--require vm"),
}
FREE = """
    import os, subprocess, pytest
    @pytest.mark.e2e
    def test_e2e():
        assert subprocess.run(["true"]).returncode == 0
    def test_fixture(allow_subprocess):
        assert subprocess.run(["true"]).returncode == 0
    def test_home(tmp_path_factory):
        assert os.environ["CLUSTERCTL_HOME"].startswith(str(tmp_path_factory.getbasetemp()))
        assert "CLUSTERCTL_DEBUG" not in os.environ
    def test_patched(monkeypatch):
        monkeypatch.setenv("X", "y")
        monkeypatch.chdir("/")
    @pytest.mark.vm
    @pytest.mark.xfail
    def test_expected():
        assert False
    def test_skipped():
        pytest.skip("no moon")
"""


@pytest.mark.slow
def test_the_guards_around_every_test_guard(tmp_path, allow_subprocess):
    lines = (ROOT / "tests" / "conftest.py").read_text().splitlines(keepends=True)
    # Without the fixtures for real engines: only how tests are sampled and shared out is beside it.
    for name in ("sampling", "sharing"):
        lines = [line.replace(f"from .support import {name}", f"import {name}") for line in lines]
        lines = [line.replace(f"from .support.{name}", f"from {name}") for line in lines]
        shutil.copy(ROOT / "tests" / "support" / f"{name}.py", tmp_path)
    (tmp_path / "conftest.py").write_text("".join(line for line in lines if not line.startswith("from .")))
    markers = "".join(f"    {name}: x\n" for name in ("e2e", "docker", "vm"))
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nmarkers =\n{markers}")
    for name, (text, _) in GUARDED.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "test_free.py").write_text(textwrap.dedent(FREE))
    said = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "--require", "docker,vm", "--tb=short", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "CLUSTERCTL_DEBUG": "1", "HOME": str(tmp_path)},
    ).stdout
    for name, (_, words) in GUARDED.items():
        assert f"FAILED {name}.py::test_it" in said or f"ERROR {name}.py::test_it" in said, said
        assert words in said
    for name in ("e2e", "fixture", "home", "patched"):
        assert f"PASSED test_free.py::test_{name}" in said, said
    assert "XFAIL test_free.py::test_expected" in said
    assert "SKIPPED [1] test_free.py" in said
