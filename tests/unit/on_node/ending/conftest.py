"""A node whose clock, people and power are the test's."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusterctl.on_node.system.ending import acting, clocks, home_files
from clusterctl.on_node.system.ending import ending as module
from clusterctl.on_node.system.ending.clocks import Moment
from clusterctl.on_node.system.ending.ending import Master
from clusterctl.on_node.system.ending.records import Order, State, dump, parse, read, write


class Manager:
    """A service manager that remembers what was stopped."""

    def __init__(self):
        self.stopped = 0
        self.trouble = None

    def states(self):
        return {}

    def stop_all(self, but):
        assert but == "watch"
        if self.trouble:
            raise self.trouble
        self.stopped += 1


class Bench:
    """A node whose clock, people and power are the test's."""

    def __init__(self, folder, monkeypatch):
        self.home = folder / "home"
        self.home.mkdir()
        self.place, self.maps = self.home / ".clusterctl", folder / "state" / "maps"
        self.values = {
            "terms": str(folder / "terms.json"),
            "decision": str(folder / "decision.json"),
            "home": str(self.home),
            "maps": str(self.maps),
            "root": str(folder),
            "alias": "node001",
            "powers_off": True,
        }
        self.manager = Manager()
        self.up_s = 10_000.0
        self.offs = []
        self.commands = []
        self.work = {}
        self.off_trouble = ""
        monkeypatch.setattr(clocks, "now", lambda: Moment("boot", self.up_s, self.up_s))
        monkeypatch.setattr(module.People, "look", lambda *_: dict(self.work))
        monkeypatch.setattr(acting, "power_off", lambda: self.offs.append(self.up_s) or self.off_trouble)
        self.stops = []
        monkeypatch.setattr(acting, "stop_container", lambda: self.stops.append(self.up_s) or self.off_trouble)
        monkeypatch.setattr(acting, "run_command", lambda words: self.commands.append(words) or "")

    def master(self, terms):
        write(self.terms_file, terms)
        master = Master(self.values, self.manager)
        master.look()
        return master

    @property
    def terms_file(self):
        return Path(self.values["terms"])

    @property
    def state(self):
        return read(State, Path(self.values["decision"]))

    def wait(self, role, seconds):
        while seconds > 0:
            self.up_s += 10
            seconds -= 10
            role.look()

    def order(self):
        return parse(Order, home_files.look(self.place, self.maps)["order"])

    def say(self, name, record):
        home_files.write(self.place, name, dump(record))


@pytest.fixture
def bench(tmp_path, monkeypatch):
    return Bench(tmp_path, monkeypatch)
