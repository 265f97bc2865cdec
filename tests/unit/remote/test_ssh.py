"""A node over real SSH, against the local provider's servers; and the parts that need none."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path, PurePosixPath

import fabric
import paramiko
import pytest

from clusterctl.errors import LostError, RemoteError
from clusterctl.journal import ClusterFolder
from clusterctl.providers.local import LocalProvider
from clusterctl.remote import gateways, running, ssh
from clusterctl.remote.ssh import SSHRemote
from clusterctl.testing import fake_node

from ...support.provider_contract import plan_for


class TestReading:
    def feed(self, *chunks):
        left = list(chunks)
        return lambda size: left.pop(0) if left else b""

    @pytest.mark.parametrize(
        "chunks",
        [(b"a\nb\nc",), (b"a\n", b"b\n", b"c"), (b"a", b"\nb", b"\n", b"c"), (b"a\nb", b"\nc")],
    )
    def test_lines_are_told_whole_however_they_arrive(self, chunks):
        lines = []
        assert running.read_lines(self.feed(*chunks), lines.append) == "a\nb\nc"
        assert lines == ["a", "b", "c"]

    def test_errors_without_end_are_given_up_too(self, monkeypatch):
        monkeypatch.setattr(running, "MOST_OUTPUT", 1 << 20)
        ended = []
        reader = running.ErrorReader(lambda size: b"x" * size, keep=100, give_up=lambda: ended.append("ended"))
        with pytest.raises(OSError, match="more than 1 MiB of output"):
            reader.finish()
        assert ended == ["ended"]

    @pytest.mark.parametrize("on_line", [None, lambda _: None])
    def test_output_without_end_is_given_up(self, on_line, monkeypatch):
        monkeypatch.setattr(running, "MOST_OUTPUT", 1 << 20)
        with pytest.raises(OSError, match="more than 1 MiB of output"):
            running.read_lines(lambda size: b"x" * size, on_line)

    def test_a_letter_of_several_bytes_may_arrive_in_parts(self):
        lines, text = [], "Zürich\n".encode()
        assert running.read_lines(self.feed(text[:2], text[2:]), lines.append) == "Zürich\n"
        assert lines == ["Zürich"]
        assert running.read_lines(self.feed(text[:2], text[2:]), None) == "Zürich\n"


def test_a_port_that_nobody_listens_on_is_an_error_with_a_remedy(tmp_path, allow_loopback):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    remote = SSHRemote(fake_node(port=port), key=tmp_path / "k", known_hosts=tmp_path / "h", log=tmp_path / "l")
    with pytest.raises(RemoteError, match=rf"master does not answer on 127.0.0.1:{port}") as caught:
        remote.run("true")
    assert caught.value.node == "master"
    assert caught.value.status is None
    assert "clusterctl status lab" in caught.value.remedy


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    folder = ClusterFolder(tmp_path_factory.mktemp("laptop"), "lab")
    provider = LocalProvider(tmp_path_factory.mktemp("local"), os.environ)
    nodes = provider.create(plan_for("master", "node001"), public_key=folder.ensure_exists())
    folder.pin_host_keys(nodes)
    yield folder, nodes
    provider.destroy("lab")


@pytest.mark.e2e
class TestOverSSH:
    @pytest.fixture
    def make_remote(self, lab):
        """Makes one that is not connected yet."""
        folder, nodes = lab
        made = []

        def make_remote(node=nodes[0]):
            log = folder.log_file(node.alias)
            made.append(SSHRemote(node, key=folder.private_key_file, known_hosts=folder.known_hosts_file, log=log))
            return made[-1]

        yield make_remote
        for remote in made:
            remote.close()

    @pytest.fixture
    def connect(self, make_remote):
        def connect(*node):
            remote = make_remote(*node)
            deadline = time.monotonic() + 20
            while True:
                try:
                    remote.connect()
                except RemoteError as exc:
                    if "another host key" in exc.message or time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)
                else:
                    return remote

        return connect

    @pytest.fixture
    def remote(self, connect):
        return connect()

    def test_lines_of_known_hosts_that_were_damaged_are_passed_over(self, lab, connect):
        folder, nodes = lab
        whole = folder.known_hosts_file.read_bytes()
        name = f"[{nodes[0].address}]:{nodes[0].port}".encode()
        bad = [name, *(name + b" ssh-ed25519" + rest for rest in (b"", b" AAAA!", b" AAAAC3Nz")), bytes(range(256))]
        try:
            folder.known_hosts_file.write_bytes(b"\n".join([*bad, whole]))
            assert connect().run("echo here").stdout == "here\n"
        finally:
            folder.known_hosts_file.write_bytes(whole)

    def test_a_command_gives_status_output_and_errors(self, remote):
        result = remote.run("echo out; echo err >&2; exit 3", check=False)
        assert (result.status, result.stdout, result.stderr) == (3, "out\n", "err\n")
        assert remote.commands == 1

    def test_it_reads_its_stdin_however_long(self, remote):
        assert remote.run("wc -c", stdin="x" * 3_000_000).stdout.strip() == "3000000"

    def test_one_that_reads_nothing_ends_all_the_same(self, remote):
        assert remote.run("true", stdin="x" * 3_000_000).status == 0

    def test_much_on_both_outputs_blocks_nobody(self, remote):
        result = remote.run("head -c 2000000 /dev/zero; head -c 2000000 /dev/zero >&2")
        assert (len(result.stdout), len(result.stderr)) == (2_000_000, 2_000_000)

    def test_a_question_that_is_never_answered_is_given_up(self, remote, monkeypatch):
        monkeypatch.setattr(ssh, "_ANSWER_S", 0.5)
        with pytest.raises(LostError, match="no end after"):
            remote.run_script("sleep 1000", reads=True)

    def test_of_much_that_was_said_the_log_has_the_end(self, remote, lab):
        remote.run("head -c 3000000 /dev/zero | tr '\\0' x; echo the end")
        log = lab[0].log_file("master")
        assert log.read_text().endswith("the end\n")
        assert "(the last 1048576 of 3000008 letters)" in log.read_text()
        assert max(map(len, log.read_text().splitlines())) < 1_100_000

    def test_lines_are_told_as_they_come(self, remote):
        first = threading.Event()
        seen = []

        def on_line(line):
            seen.append((line, time.monotonic()))
            first.set()

        remote.run("echo one; sleep 0.4; echo two", on_line=on_line)
        assert [line for line, _ in seen] == ["one", "two"]
        assert seen[1][1] - seen[0][1] > 0.2

    def test_a_failure_names_the_node_the_script_and_the_last_lines(self, remote, lab):
        with pytest.raises(RemoteError) as caught:
            remote.run_script("for i in $(seq 30); do echo line $i >&2; done; exit 7", name="mine: setup")
        error = caught.value
        assert error.message.startswith("master: mine: setup ended with status 7:\n")
        assert error.message.endswith("line 30")
        assert "line 2\n" not in error.message
        assert (error.status, error.node) == (7, "master")
        assert str(lab[0].log_file("master")) in error.remedy

    def test_a_full_disk_has_its_own_remedy(self, remote):
        with pytest.raises(RemoteError) as caught:
            remote.run_script("echo 'cp: x: No space left on device' >&2; exit 1")
        assert "free some space" in caught.value.remedy

    def test_one_that_takes_too_long_is_given_up_by_name(self, remote):
        began = time.monotonic()
        with pytest.raises(RemoteError, match=r"master: mine: no end after 0 s") as caught:
            remote.run_script("sleep 60", name="mine", timeout_s=0.3)
        assert time.monotonic() - began < 10
        assert caught.value.status is None

    def test_a_server_that_is_frozen_is_noticed_and_its_connection_ended(self, remote, lab, monkeypatch):
        monkeypatch.setattr(ssh, "_SILENT_S", 0.05)
        assert remote.run("sleep 0.3; echo late").stdout == "late\n"  # it answers meanwhile
        monkeypatch.setattr(running, "_ANSWER_S", 0.3)
        server = json.loads((Path(lab[1][0].layout.state).parent / "pid").read_text())["pid"]
        try:
            with pytest.raises(LostError, match="master: mine: its SSH server does not answer any more"):
                remote.run_script(f"kill -STOP {server}; sleep 60", name="mine")
        finally:
            os.kill(server, signal.SIGCONT)

    def test_a_users_own_command_ends_with_a_server_that_is_frozen_and_may_be_silent_with_one_that_is_not(
        self, remote, lab, monkeypatch
    ):
        monkeypatch.setattr(ssh, "_SILENT_S", 0.05)
        patient = remote.start_command("sleep 0.3; echo late")
        assert (patient.read(), patient.read(), patient.wait()) == (b"late\n", b"", 0)
        monkeypatch.setattr(running, "_ANSWER_S", 0.3)
        server = json.loads((Path(lab[1][0].layout.state).parent / "pid").read_text())["pid"]
        try:
            command = remote.start_command(f"echo begun; read go; kill -STOP {server}; sleep 60")
            assert command.read() == b"begun\n"
            command.write(b"go\n")
            assert (command.read(), command.read_errors(), command.wait()) == (b"", b"", -1)
        finally:
            os.kill(server, signal.SIGCONT)

    def test_a_server_that_hangs_up_at_the_login_is_asked_once_more(self, make_remote, monkeypatch):
        """Another one takes its place, as where it was deaf."""
        open_connection, hung_up = fabric.Connection.open, []

        def hang_up(connection):
            open_connection(connection)
            if not hung_up:
                hung_up.append(connection)
                connection.transport.close()
                raise paramiko.SSHException("No existing session")

        monkeypatch.setattr(fabric.Connection, "open", hang_up)
        remote = make_remote()
        remote.connect()
        assert remote.run("echo in").stdout == "in\n"
        assert len(hung_up) == 1

    def test_one_that_hangs_up_before_it_greets_is_asked_once_more(self, make_remote, monkeypatch):
        connect, tried, ended = gateways._connect_socket, [], []

        def find_one_that_ends(address, port):
            tried.append(port)
            if len(tried) > 1:
                return connect(address, port)
            ours, theirs = socket.socketpair()
            theirs.shutdown(socket.SHUT_WR)
            ended.append(theirs)
            return ours

        monkeypatch.setattr(gateways, "_connect_socket", find_one_that_ends)
        remote = make_remote()
        remote.connect()
        assert remote.run("echo in").stdout == "in\n"
        ended[0].close()
        assert len(tried) == 2

    def test_so_does_a_terminal(self, remote, lab, monkeypatch):
        remote.connect()
        monkeypatch.setattr(ssh, "_SILENT_S", 0.05)
        monkeypatch.setattr(running, "_ANSWER_S", 0.3)
        server = json.loads((Path(lab[1][0].layout.state).parent / "pid").read_text())["pid"]
        reading, writing = os.pipe()
        try:
            with os.fdopen(reading) as stdin, os.fdopen(writing, "w"):
                monkeypatch.setattr(sys, "stdin", stdin)
                with pytest.raises(LostError, match="the connection was lost"):
                    remote.shell(f"kill -STOP {server}; sleep 60")
        finally:
            os.kill(server, signal.SIGCONT)

    def test_secrets_in_a_script_are_in_no_process_list_and_no_log(self, remote, lab):
        word = "hunter-and-gatherer"
        said = remote.run_script(
            f"token={word}; echo got $token; ps -ef 2>/dev/null | grep -c 'hunter[-]and' || true",
            name="secretive",
            secret=True,
        ).stdout
        assert said.split() == ["got", word, "0"]
        log = lab[0].log_file("master").read_text()
        assert "secretive -> 0" in log
        assert word not in log

    def test_what_was_run_is_in_the_nodes_log(self, remote, lab):
        remote.run("echo something-to-find")
        assert "    something-to-find\n" in lab[0].log_file("master").read_text()

    def test_several_threads_share_one_connection(self, remote):
        results = {}
        threads = [
            threading.Thread(target=lambda n=n: results.__setitem__(n, remote.run(f"echo {n}").stdout.strip()))
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == {n: str(n) for n in range(8)}

    def test_files_go_and_come_with_their_permissions(self, remote, lab, tmp_path):
        home = lab[1][0].layout.home
        (tmp_path / "run.sh").write_text("echo hi")
        (tmp_path / "run.sh").chmod(0o750)
        goal = home / "new" / "folder" / "run.sh"
        remote.put(tmp_path / "run.sh", goal)
        remote.get(goal, tmp_path / "back.sh")
        assert (tmp_path / "back.sh").read_text() == "echo hi"
        assert (tmp_path / "back.sh").stat().st_mode & 0o777 == 0o750
        assert [path.name for path in Path(goal.parent).iterdir()] == ["run.sh"]

    def test_a_file_that_cannot_be_put_leaves_what_was_there(self, remote, lab, tmp_path):
        folder = Path(lab[1][0].layout.home) / "taken"
        (folder / "a").mkdir(parents=True)
        (folder / "a" / "b").write_text("old")
        (tmp_path / "big").write_bytes(bytes(3_000_000))
        with pytest.raises(RemoteError, match=r"put .*big: (Not a directory|File exists)"):
            remote.put(tmp_path / "big", PurePosixPath(folder / "a" / "b" / "c"))
        assert [path.name for path in folder.rglob("*")] == ["a", "b"]

    def test_bytes_go_both_ways_at_once_and_a_signal_is_a_status(self, remote):
        running = remote.start_command("cat; cat >&2; kill -9 $$")
        running.write(bytes(range(256)))
        assert running.read() == bytes(range(256))
        running.end_input()
        assert (running.read(), running.read_errors(), running.wait()) == (b"", b"", 137)
        running.close()

    def test_one_that_is_silent_for_too_long_is_given_up(self, remote):
        running = remote.start_command("sleep 60", idle_s=0.1)
        with pytest.raises(TimeoutError):
            running.read()
        running.close()

    def test_a_file_that_is_not_there_is_an_error_that_names_it(self, remote, tmp_path):
        with pytest.raises(RemoteError, match=r"master: get .*nothing: No such file"):
            remote.get(PurePosixPath("/nothing"), tmp_path / "x")

    def test_a_node_that_shows_another_key_is_refused(self, connect, lab):
        folder, (master, worker) = lab
        pinned = folder.known_hosts_file.read_text()
        try:
            folder.pin_host_keys([replace(master, host_key=worker.host_key), worker])
            with pytest.raises(RemoteError, match="shows another host key than the one that was pinned") as caught:
                connect()
            assert str(folder.known_hosts_file) in caught.value.remedy
        finally:
            folder.known_hosts_file.write_text(pinned)

    def test_a_node_that_was_never_pinned_is_refused_too(self, lab):
        folder, (master, _) = lab
        empty = folder.write_file("nobody", "")
        remote = SSHRemote(master, key=folder.private_key_file, known_hosts=empty, log=folder.log_file("x"))
        with pytest.raises(RemoteError, match="not found in known_hosts"):
            remote.connect()

    def test_closing_cuts_off_what_runs(self, connect):
        remote = connect()
        failed = []

        def run():
            try:
                remote.run("echo started; sleep 60", on_line=lambda _: started.set())
            except RemoteError as exc:
                failed.append(exc)

        started, thread = threading.Event(), threading.Thread(target=run)
        thread.start()
        assert started.wait(10)
        remote.close()
        thread.join(10)
        assert not thread.is_alive()
        assert failed[0].status is None

    def test_after_closing_nothing_runs(self, connect):
        remote = connect()
        remote.close()
        with pytest.raises(RemoteError):
            remote.run("true")
