"""The SSH servers of a node: which are its own, when they are tried, and what becomes of a deaf one."""

from __future__ import annotations

import json
import signal
import socket
import threading
from types import SimpleNamespace

import pytest

from clusterctl.on_node.system.watching import judging, logins, processes

DOOR = processes.Door("socket:[1]", 0, "127.0.0.1", 22, 0)
SSHD = ["sshd: /usr/sbin/sshd -D -e [listener] 0 of 10-100 startups"]


@pytest.fixture
def node(monkeypatch, tmp_path):
    """An sshd with process id 7 that greets, on a node with a clock that goes on by three seconds a look."""
    made = SimpleNamespace(
        now=0.0, greets=True, tried=0, waiting=0, stopped=[], killed=[], begun=[], open_ports={22}, words={7: SSHD}
    )

    def greets(door):
        made.tried += 1
        return made.greets

    monkeypatch.setattr(judging, "time", SimpleNamespace(monotonic=lambda: made.now))
    monkeypatch.setattr(processes, "ssh_servers", lambda: [*made.words])
    monkeypatch.setattr(processes, "started", lambda pid: f"birth of {pid}")
    monkeypatch.setattr(processes, "cpu_s", lambda pids: 0.0)
    monkeypatch.setattr(processes, "wake", lambda pids: [pid for pid in pids if pid in made.stopped])
    monkeypatch.setattr(processes, "words", lambda pid: made.words[pid])
    monkeypatch.setattr(processes, "doors", lambda pid: [DOOR._replace(waiting=made.waiting)])
    monkeypatch.setattr(processes, "kill", made.killed.extend)
    monkeypatch.setattr(processes, "ports_listened_on", lambda: made.open_ports)
    monkeypatch.setattr(logins, "greets", greets)
    monkeypatch.setattr(logins, "_BACK_S", 0.2)
    monkeypatch.setattr(logins.os, "kill", lambda pid, number: made.killed.append((pid, number)))
    monkeypatch.setattr(logins.subprocess, "Popen", lambda words, **_: made.begun.append(words))
    made.root = tmp_path
    return made


def look(node, watched, times=1):
    said = []
    for _ in range(times):
        said += watched.look()
        node.now += 3
    return said


class TestLogins:
    def test_one_that_greets_is_tried_once_a_minute(self, node):
        watched = logins.Logins("")
        assert look(node, watched, 60) == []
        assert node.tried == 1 + 3

    def test_one_that_lets_somebody_wait_is_tried_at_the_next_look_at_servers(self, node):
        watched = logins.Logins("")
        look(node, watched, 6)
        node.waiting, node.tried = 1, 0
        look(node, watched, 5)
        assert node.tried == 1

    def test_a_deaf_one_is_ended_and_what_started_it_starts_another_one(self, node):
        watched = logins.Logins("")
        look(node, watched, 6)
        node.greets, node.waiting = False, 1
        assert look(node, watched, 6) == ["the SSH server does not greet: another one starts"]
        assert (node.killed, node.begun) == ([7], [])

    def test_where_nothing_starts_another_one_the_watch_does(self, node):
        watched = logins.Logins("")
        look(node, watched, 6)
        node.greets, node.waiting, node.open_ports = False, 1, set()
        look(node, watched, 6)
        assert node.begun == [["/usr/sbin/sshd", "-D", "-e"]]

    def test_a_unit_of_systemd_is_started_by_systemd(self, node, monkeypatch):
        monkeypatch.setattr(logins, "unit_of", lambda pid: "ssh.service")
        watched = logins.Logins("")
        look(node, watched, 6)
        node.greets, node.waiting, node.open_ports = False, 1, set()
        look(node, watched, 6)
        assert node.begun == [["systemctl", "start", "ssh.service"]]

    def test_one_that_was_never_well_may_be_starting_for_half_a_minute(self, node):
        node.greets, watched = False, logins.Logins("")
        assert look(node, watched, 10) == []
        assert look(node, watched, 5) == ["the SSH server does not greet: another one starts"]

    def test_one_bad_moment_is_no_deafness(self, node):
        watched = logins.Logins("")
        look(node, watched, 6)
        node.greets, node.waiting = False, 1
        look(node, watched, 5)
        node.greets = True
        assert look(node, watched, 40) == []

    def test_one_that_is_stopped_goes_on_and_is_not_ended(self, node):
        watched = logins.Logins("")
        look(node, watched, 6)
        node.greets, node.waiting, node.stopped = False, 1, [7]
        assert look(node, watched, 5) == ["the SSH server: was stopped, and goes on: 7"]
        assert node.killed == []

    def test_who_is_logged_in_is_no_server_even_with_a_forwarded_port(self, node):
        node.words = {8: ["sshd: me@pts/0"], 9: ["sshd-session: me [priv]"], 10: []}
        assert logins.find_servers([8, 9, 10], "") == []

    def test_one_without_a_title_is_a_server(self, node):
        node.words = {8: ["/usr/sbin/sshd", "-D"]}
        assert [server.command for server in logins.find_servers([8], "")] == [["/usr/sbin/sshd", "-D"]]


class TestALocalNode:
    def write(self, node, **about):
        (node.root / "pid").write_text(json.dumps({"pid": 7, "guardian": 6, "renews": True, **about}))
        return logins.Logins(str(node.root))

    def test_its_guardian_starts_another_one(self, node):
        watched = self.write(node)
        look(node, watched, 6)
        node.greets, node.waiting = False, 1
        look(node, watched, 6)
        assert node.killed == [(6, signal.SIGUSR1)]

    def test_other_servers_of_this_computer_are_none_of_its_business(self, node):
        node.words[8] = SSHD
        self.write(node)
        assert [server.pid for server in logins.find_servers([7, 8], str(node.root))] == [7]

    def test_nor_does_it_let_them_go_on(self, node):
        node.words[8] = SSHD
        node.stopped = [8]
        assert look(node, self.write(node), 5) == []

    def test_a_guardian_of_an_earlier_version_would_end_by_it(self, node):
        self.write(node, renews=False)
        assert logins.find_servers([7], str(node.root)) == []

    @pytest.mark.parametrize("text", ["", "{", "[]", "7"])
    def test_without_a_record_nothing_is_done(self, node, text):
        (node.root / "pid").write_text(text)
        assert logins.find_servers([7], str(node.root)) == []


@pytest.mark.usefixtures("allow_loopback")
class TestGreets:
    @pytest.fixture
    def listener(self, monkeypatch):
        monkeypatch.setattr(logins, "_GREETING_S", 0.3)
        with socket.create_server(("127.0.0.1", 0)) as made:
            yield made

    def ask(self, listener, *, then):
        def serve():
            taken, _ = listener.accept()
            with taken:
                then(taken)

        serving = threading.Thread(target=serve)
        serving.start()
        try:
            return logins.greets(DOOR._replace(port=listener.getsockname()[1]))
        finally:
            serving.join()

    def test_one_that_greets_or_hangs_up_answers(self, listener):
        assert self.ask(listener, then=lambda taken: taken.sendall(b"SSH-2.0-x\r\n"))
        assert self.ask(listener, then=lambda taken: None)

    def test_one_that_accepts_and_says_nothing_does_not(self, listener):
        assert not self.ask(listener, then=lambda taken: taken.recv(1))

    def test_one_that_accepts_nobody_does_not(self, listener):
        assert not logins.greets(DOOR._replace(port=listener.getsockname()[1]))


class TestDoors:
    LINES = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000002 00:00000000 00000000  1000        0 41 1 0 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 42 1 0 100 0 0 10 0
   2: 0100007F:0016 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 43 1 0 100 0 0 10 0
"""
    SIX = """  sl  local_address remote_address st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 00000000:00000000 0:0 0 0 0 44 1
"""

    @pytest.fixture
    def proc(self, tmp_path, monkeypatch):
        monkeypatch.setattr(processes, "_PROC", tmp_path)
        (tmp_path / "net").mkdir()
        (tmp_path / "net" / "tcp").write_text(self.LINES)
        (tmp_path / "net" / "tcp6").write_text(self.SIX)
        for pid, inodes in ((7, (42, 44)), (8, (41, 43))):
            (tmp_path / str(pid) / "fd").mkdir(parents=True)
            for inode in inodes:
                (tmp_path / str(pid) / "fd" / str(inode)).symlink_to(f"socket:[{inode}]")

    @pytest.mark.usefixtures("proc")
    def test_what_a_process_listens_on_and_how_many_wait_there(self):
        assert [(door.address, door.port) for door in processes.doors(7)] == [("127.0.0.1", 22), ("::1", 22)]
        assert [(door.address, door.port, door.waiting) for door in processes.doors(8)] == [("127.0.0.1", 8080, 2)]
        assert processes.listeners(22) == {7}
        assert processes.listening_users(8080) == {1000}
        assert processes.ports_listened_on() == {22, 8080}
