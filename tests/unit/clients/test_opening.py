"""A connection file is opened: with the engines that were asked for, and never by a login to this very computer."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from clusterctl.clients import opening
from clusterctl.clients.opening import Target, Wanted, open_client
from clusterctl.errors import DeadlineError, StateError, UsageError

ENGINES = {"master": range(2), "node001": range(2, 4)}


class Client:
    """ipyparallel's, whose engines come one after the other, one a look, up to `most`."""

    most = 4

    def keep_detached(self, open_maps):
        self.open_maps = open_maps

    def find_dask_by(self, find):
        self.find_dask = find

    def __init__(self, file, **options):
        if options.get("timeout") == 0:
            raise TimeoutError("Hub connection request timed out")
        if "nonsense" in options:
            raise TypeError("nonsense")
        self.file, self.options, self.looks, self.closed = file, options, 0, False
        made.append(self)

    @property
    def ids(self):
        self.looks += 1
        return list(range(min(self.looks, self.most)))

    def close(self):
        self.closed = True


made: list[Client] = []


@pytest.fixture
def target(tmp_path, monkeypatch):
    made.clear()
    monkeypatch.setattr(opening, "Client", Client)
    monkeypatch.setattr(opening, "ClientWatch", lambda client, name: SimpleNamespace(begin=lambda: None))
    file = tmp_path / "client.json"
    file.write_text(json.dumps({"interface": "tcp://127.0.0.1", "key": "", "registration": 1, "ssh": ""}))
    return Target(file, "lab", "start it", ENGINES)


@pytest.mark.parametrize(("wait", "looks"), [(None, 0), (False, 0), (0, 0), (1, 1), (3, 3), (True, 4)])
def test_it_waits_for_so_many(target, wait, looks):
    assert open_client(target, Wanted(wait), {}).looks == looks


def test_who_is_missing_is_named_and_the_client_closed(target, monkeypatch):
    monkeypatch.setattr(Client, "most", 3)
    with pytest.raises(DeadlineError, match=r"lab has 3 of 4 engines after 0\.2 s: node001 lacks 3") as caught:
        open_client(target, Wanted(wait=True, wait_s=0.2), {})
    assert caught.value.remedy == "start it"
    assert made[0].closed


def test_more_than_there_are_is_said(target):
    with pytest.raises(DeadlineError, match=r"lab has 4 of 9 engines after 0\.2 s, and 4 were set up"):
        open_client(target, Wanted(wait=9, wait_s=0.2), {})


def test_all_of_an_unknown_number_is_refused(target):
    with pytest.raises(UsageError, match="not known"):
        open_client(Target(target.file, "file", "repair"), Wanted(wait=True), {})
    assert not made


@pytest.mark.parametrize(("wait", "wait_s"), [(-1, 1), (1, -1), (1, float("nan"))])
def test_numbers_have_their_range(wait, wait_s):
    with pytest.raises(ValueError, match="at least 0"):
        Wanted(wait, wait_s)


def test_a_number_is_a_number():
    with pytest.raises(TypeError):
        Wanted("3")


def test_a_key_for_ssh_leads_to_no_login_on_this_very_computer(target):
    """`Client(FILE, sshkey=...)`, as it was shown in 2013, logs in to where the file says: a tunnel's end is here."""
    options = {"sshkey": "~/.ssh/mykey.rsa", "timeout": 5}
    assert open_client(target, Wanted(), options).options == {"timeout": 5}
    elsewhere = {**options, "sshserver": "gate"}
    assert open_client(target, Wanted(), elsewhere).options == elsewhere
    content = json.loads(target.file.read_text())
    for changes in ({"interface": "tcp://10.0.0.7"}, {"ssh": "me@gate"}):
        target.file.write_text(json.dumps(content | changes))
        assert open_client(target, Wanted(), options).options == options


def test_a_controller_that_does_not_answer_and_a_damaged_file_are_errors_of_ours(target):
    with pytest.raises(StateError, match="the controller of lab does not answer"):
        open_client(target, Wanted(), {"timeout": 0})
    with pytest.raises(TypeError, match="nonsense"):
        open_client(target, Wanted(), {"nonsense": 1})
    target.file.write_text("{")
    with pytest.raises(StateError, match="is damaged"):
        open_client(target, Wanted(), {"nonsense": 1})
