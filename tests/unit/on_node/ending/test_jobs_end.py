"""A node that ends by itself gives its jobs their signal and time first."""

from __future__ import annotations

import subprocess
import sys

import pytest

from clusterctl.on_node.system.ending import acting, home_files
from clusterctl.on_node.system.ending.records import Order, Terms
from clusterctl.on_node.system.ending.worker import Worker

RUNNER = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("saved", flush=True), sys.exit()))
print("ready", flush=True)
time.sleep(60)
"""


@pytest.fixture
def runner(bench, allow_subprocess):
    """Begins what looks like the process that runs a job of a node."""
    begun = []

    def begin(alias, home=bench.home):
        words = ["clusterctl.clients.run_job", f"{home}/.clusterctl/jobs/9845a3bd4", alias, "3", "ticket", "4", "2"]
        process = subprocess.Popen([sys.executable, "-c", RUNNER, *words], stdout=subprocess.PIPE, text=True)
        begun.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield begin
    for process in begun:
        process.kill()
        process.communicate()


def test_they_are_told_and_those_of_others_on_the_same_computer_go_on(bench, runner):
    mine, others, elsewhere = runner("node001"), runner("node0011"), runner("node001", bench.home / "other")
    acting.end_jobs(bench.home, "node001", grace_s=0)
    assert mine.communicate(timeout=30)[0] == "saved\n"
    assert (others.poll(), elsewhere.poll()) == (None, None)
    acting.end_jobs(bench.home, "node001")


@pytest.fixture
def order(bench, monkeypatch):
    """What happens, in its order."""
    seen = []
    monkeypatch.setattr(acting, "end_jobs", lambda home, alias: seen.append(f"jobs of {alias} in {home.name}"))
    monkeypatch.setattr(bench.manager, "stop_all", lambda but: seen.append("services"))
    return seen


def test_a_workers_jobs_end_before_it_says_that_it_has_and_its_master_takes_the_home_away(bench, order):
    bench.say(home_files.ORDER, Order("n"))
    worker = Worker(bench.values, bench.manager)
    worker.look()
    bench.say(home_files.ORDER, Order("end n", end=True))
    said = worker._say_word
    worker._say_word = lambda word: (order.append("word"), said(word))
    worker.look()
    assert order == ["jobs of node001 in home", "word", "jobs of node001 in home", "services"]


def test_a_masters_jobs_end_before_its_services(bench, order):
    master = bench.master(Terms("n", "here", "lab", lifetime_s=60.0))
    bench.wait(master, 1000)
    assert order[:2] == ["jobs of master in home", "services"]
