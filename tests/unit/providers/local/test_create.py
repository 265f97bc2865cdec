"""How a node comes to be, and what is undone when it does not."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from clusterctl.errors import ProviderError
from clusterctl.model import NodeState
from clusterctl.providers.local import machine, power
from clusterctl.providers.local import provider as provider_module

from ....support.local_nodes import DEADLINE_S, run, server_of, until
from ....support.provider_contract import plan_for

pytestmark = pytest.mark.e2e


class TestCreate:
    def test_a_node_is_there_before_its_server_and_soon_running(self, provider, start):
        (node,) = start("master")
        socket.create_connection((node.address, node.port)).close()
        until(lambda: provider.nodes("lab")[0].state is NodeState.RUNNING)
        assert node.cores == machine.usable_cores()

    def test_nodes_do_not_hold_the_pipes_or_the_session_of_the_command(self, root, key_pair, provider):
        script = f"""
import os; from pathlib import Path
from clusterctl.providers.local import LocalProvider
from clusterctl.model import *
plan = Plan("lab", "local", "", (NodeSpec("master"),), (), Request(), 1, 60, "")
node, = LocalProvider(Path({str(root)!r}), os.environ).create(plan, public_key={key_pair[1]!r})
print(node.id)
"""
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=DEADLINE_S)
        assert done.stderr == ""
        (node,) = provider.nodes("lab")
        assert node.id == done.stdout.strip()
        running = server_of(provider, node)
        assert os.getsid(running.pid) == running.guardian
        assert psutil.Process(running.pid).terminal() is None

    def test_it_imports_no_asyncssh(self):
        code = "import sys, clusterctl.providers.local; sys.exit('asyncssh' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], timeout=DEADLINE_S).returncode == 0

    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EADDRINUSE, errno.EMFILE])
    def test_a_failing_create_says_what_to_do_and_undoes(self, provider, start, root, monkeypatch, number):
        made = []

        def listen(address, port):
            if len(made) == 1:
                raise OSError(number, os.strerror(number))
            made.append(address)
            return machine_listen(address, port)

        machine_listen = machine.open_listener
        monkeypatch.setattr(machine, "open_listener", listen)
        with pytest.raises(ProviderError) as caught:
            start("master", "node001")
        assert os.strerror(number) in caught.value.message
        assert caught.value.remedy
        assert list(root.iterdir()) == []

    def test_an_interrupted_create_ends_what_it_started_and_keeps_what_was(self, provider, start, monkeypatch, login):
        (before,) = start("master")

        def interrupted(*arguments):
            power.power_on(*arguments)
            raise KeyboardInterrupt

        monkeypatch.setattr(provider_module, "power_on", interrupted)
        with pytest.raises(KeyboardInterrupt):
            start("master", "node001")
        (after,) = provider.nodes("lab")
        assert after.id == before.id
        assert run(login(after), "true")[0] == 0
        assert not (Path(before.layout.home).parent / "node001").exists()

    def test_an_undo_that_fails_is_noted_on_the_error(self, provider, start, monkeypatch):
        def failing(*arguments):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(provider_module, "power_on", failing)
        monkeypatch.setattr(provider_module, "power_off", lambda folders, gently: [4711])
        with pytest.raises(ProviderError) as caught:
            start("master")
        if sys.version_info >= (3, 11):
            assert "4711" in caught.value.__notes__[0]

    @pytest.mark.parametrize("folder", ["a ;b", "a #b", "a\nb"])
    def test_a_folder_that_the_service_manager_cannot_be_told_is_found_by_check(self, tmp_path, folder):
        (problem,) = provider_module.LocalProvider(tmp_path / folder, {}).check(plan_for("master"))
        assert "has a line end in it, or a blank and then ; or #" in problem.message
        assert provider_module.LocalProvider(tmp_path / "it's 100%;#", {}).check(plan_for("master")) == []

    def test_bad_names_are_found_by_check_and_refused(self, provider, key_pair):
        assert len(provider.check(plan_for("home", "../x", cluster="a/b"))) == 3
        with pytest.raises(ProviderError):
            provider.create(plan_for("master", cluster="../up"), public_key=key_pair[1])

    def test_the_cores_of_the_machine_are_divided_among_the_nodes(self, start, monkeypatch):
        monkeypatch.setattr(machine, "usable_cores", lambda: 8)
        assert {node.cores for node in start("master", "node001", "node002")} == {2}
