"""The whole program from `main()` down, with fake machines and no tool that needs the network."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from clusterctl.cli import main as main_module
from clusterctl.providers.ec2.aws import Aws
from clusterctl.wiring import context, ec2, providers

from ...support.shared_boto import shared_boto

EVERY_HOOK = Path(__file__).parents[2] / "support" / "every_hook.py"
PLUGINS = '''
from clusterctl.api import Connection, Request, Secret, StatusRow, hookimpl
from clusterctl_plugins.packages import Packages


class Offline(Packages):
    """Packages, without asking an index."""

    @hookimpl
    def clusterctl_prepare(self, cluster):
        pass

    @hookimpl
    def clusterctl_join(self, cluster, node):
        if node.is_master:
            cluster.bring_record()
        cluster.on(node).run_script("", name="packages: environment")


USAGE = "Connect from this computer, in Python:\\n\\nfrom ipyparallel import Client\\nclient = Client({file})"


class Engines:
    """Something to connect to."""

    def __init__(self, options):
        pass

    @hookimpl
    def clusterctl_join(self, cluster, node):
        cluster.on(node).run_script("", name="engines: join")

    @hookimpl
    def clusterctl_connect(self, cluster):
        count = 2 * sum(node.reachable for node in cluster.nodes)
        client = {"host": "127.0.0.1", "ports": {"mux": 15001}, "document": {"key": "k"}, "usage": USAGE}
        url = Secret("http://127.0.0.1:{web}/lab?token=hunter2")
        return [
            Connection("client", summary=f"{count} engines on {len(cluster.nodes)} nodes for me", **client),
            Connection("notebook", host="127.0.0.1", ports={"web": 15002}, url=url),
        ]

    @hookimpl
    def clusterctl_status(self, cluster):
        return [StatusRow(node.alias, "engines", "2 of 2", count=2) for node in cluster.nodes]

    @hookimpl
    def clusterctl_run(self, cluster):
        cluster.say("Running the engines")
'''


@dataclass
class Said:
    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def laptop(lab, tmp_path, monkeypatch):
    """A config file with plugins of ours, and a provider and connections that are fakes."""
    lab.home = Path(os.environ["CLUSTERCTL_HOME"])
    lab.provider.name = "local"
    monkeypatch.setitem(providers._PROVIDERS, "local", lambda _: lab.provider)
    monkeypatch.setattr(context, "make_connector", lambda folder: lab.connector)
    (tmp_path / "offline.py").write_text(PLUGINS)
    lab.config = lab.home / "config"
    lab.config.write_text(
        "[cluster small]\nprovider = local\ncluster_user = me\nplugins = packages, engines\n"
        "[cluster big]\nextends = small\ncluster_size = 5\n"
        "[global]\ndefault_template = small\n"
        f"[plugin packages]\nsetup_class = {tmp_path}/offline.py:Offline\n"
        f"[plugin engines]\nsetup_class = {tmp_path}/offline.py:Engines\n"
        f"[plugin every_hook]\nsetup_class = {EVERY_HOOK}:EveryHook\n"
    )
    yield lab
    for name in [name for name in sys.modules if name.startswith("clusterctl_plugin_")]:
        del sys.modules[name]


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Run a command line as a shell does; everything it said, and its status."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))

    def run(*words, stdin=""):
        monkeypatch.setattr(sys, "argv", ["clusterctl", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main_module.main()
        said = capsys.readouterr()
        return Said(ended.value.code, said.out, said.err)

    yield run
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def terminal(monkeypatch):
    """Somebody sits there who types this."""

    class Keyboard(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("io.StringIO", Keyboard)


@pytest.fixture(scope="session")
def boto():
    """What the accounts of these tests share."""
    return shared_boto()


@pytest.fixture
def cloud(monkeypatch, boto):
    """An account on the stand-in, as the environment says."""
    from clusterctl_standin.cloud import Cloud

    monkeypatch.setattr(ec2, "Aws", lambda *given, **more: boto.lend(Aws(*given, **more)))
    with Cloud(port=False) as standin:
        for name, value in standin.environment().items():
            monkeypatch.setenv(name, value)
        yield standin
        boto.take_back(standin.calls)
