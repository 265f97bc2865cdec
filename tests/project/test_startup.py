"""What a command loads before it does anything: every tenth of a second is felt."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

HEAVY = {
    "boto3",
    "botocore",
    "fabric",
    "invoke",
    "paramiko",
    "ipyparallel",
    "zmq",
    "IPython",
    "asyncssh",
    "cryptography",
    "docker",
    "requests",
}
MODELS = {"jinja2", "rich", "pydantic", "pydantic_core", "clusterctl_plugins"}
"""What a command needs once it reads a config or acts, and takes as long to load as all the rest."""
LISTING = {
    "clusterctl.cli",
    "clusterctl.cli.commands",
    "clusterctl.cli.standard_streams",
    "clusterctl.cli.terminal",
    "clusterctl.errors",
    "clusterctl.laptop",
    "clusterctl.laptop.signals",
    "clusterctl.text",
}
"""Our modules that know which commands there are, besides the program itself."""


@pytest.fixture
def loads(allow_subprocess):
    """The top-level modules that a command line loads."""

    def loads(*arguments):
        said = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "clusterctl.cli.main", *arguments],
            capture_output=True,
            text=True,
        )
        assert said.returncode == 0, said.stderr
        modules = re.findall(r"^import time:\s+\d+ \|\s+\d+ \|\s+([\w.]+)$", said.stderr, re.MULTILINE)
        assert "click" in modules, "the list of modules was not understood"
        return said.stdout, {module.split(".")[0] for module in modules}, set(modules)

    return loads


def test_help_loads_no_cloud_no_ssh_and_no_ipyparallel(loads):
    text, tops, _ = loads("--help")
    assert "start" in text
    assert not tops & HEAVY


def test_help_loads_no_command(loads):
    text, tops, modules = loads("--help")
    assert "start" in text
    assert {module for module in modules if module.startswith("clusterctl.")} == LISTING
    assert not tops & MODELS


@pytest.mark.parametrize("typed", ["clusterctl te", "clusterctl terminate m", "clusterctl start --clu"])
def test_a_tab_waits_for_no_models_of_options(loads, typed, monkeypatch):
    monkeypatch.setenv("_CLUSTERCTL_COMPLETE", "zsh_complete")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
    _, tops, modules = loads()
    assert not tops & (HEAVY | MODELS)
    if typed == "clusterctl te":
        assert {module for module in modules if module.startswith("clusterctl.")} == LISTING


def test_version_loads_next_to_nothing(loads):
    text, tops, modules = loads("--version")
    assert text.startswith("clusterctl, version ")
    assert not tops & (HEAVY | {"pydantic", "jinja2", "rich", "pluggy", "uv", "psutil", "clusterctl_plugins"})
    assert {module for module in modules if module.startswith("clusterctl.")} == LISTING


@pytest.mark.parametrize("command", ["start", "list", "terminate", "sshmaster", "connect", "notebook"])
def test_help_of_a_command_loads_nothing_heavy_either(loads, command):
    _, tops, _ = loads(command, "--help")
    assert not tops & (HEAVY | MODELS)


def test_the_package_itself_loads_nothing(allow_subprocess):
    code = "import sys; before = set(sys.modules); import clusterctl; print(*sorted(set(sys.modules) - before))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name for name in said if name.startswith("clusterctl")} == {"clusterctl"}
    assert not {name.split(".")[0] for name in said} & (HEAVY | {"click"})


def test_a_start_loads_the_provider_that_it_uses_and_no_other(loads):
    text, tops, modules = loads("start", "--dry-run", "mycluster")
    assert "local" in text
    assert "clusterctl.providers.local.provider" in modules
    assert not {m for m in modules if re.match(r"clusterctl\.providers\.(ec2|docker|static)", m)}
    assert not tops & (HEAVY - {"asyncssh", "cryptography", "ipyparallel", "zmq", "IPython"})


def test_who_asks_a_docker_engine_does_not_load_what_only_one_elsewhere_needs(allow_subprocess, tmp_path):
    code = (
        "import sys\n"
        "from clusterctl.providers.docker import engine\n"
        "from clusterctl.errors import ProviderError\n"
        "engine._refuse_unreachable = lambda where: None\n"
        "try:\n"
        f"    engine.Engine({{'DOCKER_HOST': 'unix://{tmp_path}/none.sock'}}).api\n"
        "except ProviderError as exc:\n"
        "    print(exc.message)\n"
        "assert 'docker' in sys.modules\n"
        "assert 'paramiko' not in sys.modules\n"
        "import docker.transport.sshconn\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    assert "does not answer" in said.stdout
