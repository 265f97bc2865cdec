"""Spot instances: what is run where, and what the watch on a node does when."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from clusterctl.api import Facet, Machines
from clusterctl.model import NodeState
from clusterctl.on_node.system import spot_watch
from clusterctl.plugin.loader import (
    find_every_cluster_plugins,
    find_plugin_class,
    options_model,
    why_not_needed,
)
from clusterctl.providers.base import machine_layout
from clusterctl.testing import fake_cluster, fake_node

from ...support import metadata_service

SYSTEMD = frozenset({Facet.MACHINE, Facet.INIT})
NOTICE = {"action": "terminate", "time": "2026-11-27T10:00:00Z"}
END = 1795773600.0
"""10:00:00Z on that day."""


def spot(**options):
    plugin = find_plugin_class("spot")
    return plugin(options_model(plugin)(**options))


def lab(tmp_path, markets=("on-demand", "spot", "spot"), *, facets=SYSTEMD, **about):
    nodes = [
        fake_node(
            f"node{n:03d}" if n else "master",
            id=f"i-{n}@boot",
            market=market,
            facets=facets,
            state=NodeState.RUNNING,
            layout=machine_layout("me"),
        )
        for n, market in enumerate(markets)
    ]
    return fake_cluster(tmp_path, nodes=nodes, machines=Machines("me"), **about)


class TestPlugin:
    def test_it_acts_on_every_cluster_of_machines_after_what_it_needs_from_them(self):
        assert list(find_every_cluster_plugins().classes)[-1] == "spot"
        assert why_not_needed(find_plugin_class("spot"), frozenset())
        assert why_not_needed(find_plugin_class("spot"), SYSTEMD) == ""

    def test_only_spot_nodes_get_a_watch_each_by_one_command(self, tmp_path):
        cluster = lab(tmp_path)
        for node in cluster.nodes:
            spot().clusterctl_join(cluster, node)
        assert [(ran.node, ran.name, ran.sudo) for ran in cluster.ran] == [
            ("node001", "spot: watch", True),
            ("node002", "spot: watch", True),
        ]
        assert "User=" not in cluster.ran[0].text, "it runs as root: nobody else is answered"
        assert "i-1@boot" in cluster.ran[0].text

    def test_another_watch_restarts_the_service_and_the_same_one_does_not(self, tmp_path):
        def version(**options):
            cluster = lab(tmp_path)
            spot(**options).clusterctl_join(cluster, cluster.node("node001"))
            return next(line for line in cluster.ran[0].text.splitlines() if line.startswith("# version"))

        assert version() == version()
        assert version() != version(poll_s=1)

    def test_status_of_a_cluster_without_spot_nodes_costs_nothing(self, tmp_path):
        cluster = lab(tmp_path, ("on-demand", "", "on-demand"))
        assert spot().clusterctl_status(cluster) == []
        assert cluster.ran == []

    def test_status_asks_the_master_once_and_tells_of_those_that_will_be_taken_alone(self, tmp_path):
        said = "i-2@boot 2026-11-27T10:00:00Z terminate\ni-1@earlier 2026-11-26T10:00:00Z terminate\n"
        cluster = lab(tmp_path, answers={"spot: notices": said})
        (row,) = spot().clusterctl_status(cluster)
        assert (row.node, row.value) == ("node002", "will be taken at 10:00:00Z")
        assert (row.healthy, row.ends) == (False, True)
        assert [ran.node for ran in cluster.ran] == ["master"]

    def test_a_recommendation_is_told_and_is_no_trouble(self, tmp_path):
        cluster = lab(tmp_path, answers={"spot: notices": "i-1@boot~hint 2026-11-27T09:50:00Z\n"})
        (row,) = spot().clusterctl_status(cluster)
        assert (row.node, row.value) == ("node001", "may be taken: so AWS says since 09:50:00Z")
        assert (row.healthy, row.ends) == (True, False)

    def test_a_node_that_does_not_run_is_not_told_of(self, tmp_path):
        cluster = lab(tmp_path, answers={"spot: notices": "i-1@boot 2026-11-27T10:00:00Z terminate\n"})
        cluster.update_node(replace(cluster.node("node001"), state=NodeState.STOPPED))
        assert spot().clusterctl_status(cluster) == []

    def test_only_a_spot_machine_is_left_without_it(self, tmp_path):
        cluster = lab(tmp_path, facets=SYSTEMD | {Facet.LASTING})
        for alias in ("master", "node001"):
            spot().clusterctl_undo(cluster, cluster.node(alias))
        assert [(ran.node, ran.name) for ran in cluster.ran] == [("node001", "spot: leave")]


@pytest.fixture
def watch(tmp_path, capsys, monkeypatch):
    """The watch as it runs on a node, with a clock and a metadata service of the test's."""
    settings = {
        "url": "http://127.0.0.1:9",
        "poll_s": 5.0,
        "lead_s": 30,
        "notice": str(tmp_path / "run" / "interruption"),
        "stop": ["stop.sh"],
        "drain": ["drain.sh"],
        "hint_suffix": "~hint",
        "user": "me",
        "shared": "/home/me/.clusterctl/interruptions",
        "mark": "i-1@boot",
    }
    made = SimpleNamespace(
        now=END - 1000.0, says=None, stopped=[], told=[], status=0, recommends="", drained=[], controller=0
    )

    def say():
        if isinstance(made.says, Exception):
            raise made.says
        return made.says

    def stop(command, **_):
        made.stopped.append(made.now - END)
        return made.status

    clock = SimpleNamespace(time=lambda: made.now, monotonic=lambda: made.now - END + 5000.0)
    monkeypatch.setattr(spot_watch, "time", clock)

    def begin(command, **_):
        if command[0] == "drain.sh":
            made.drained.append((made.now - END, command[1:]))
            return SimpleNamespace(poll=lambda: made.controller, returncode=made.controller)
        return made.told.append(command)

    processes = SimpleNamespace(call=stop, DEVNULL=None, Popen=begin)
    monkeypatch.setattr(spot_watch, "subprocess", processes)
    made.notice_file = tmp_path / "run" / "interruption"
    metadata = SimpleNamespace(notice=say, recommendation=lambda: made.recommends)
    made.of = spot_watch.Watch(metadata, settings)

    def run(until):
        """Look as often as it wants to look."""
        while made.now < until:
            wait = made.of.look()
            assert 0 < wait <= 5.0
            made.now += wait

    made.run = run
    made.log = lambda: capsys.readouterr().out
    return made


class TestWatch:
    def test_without_a_notice_it_says_and_does_nothing(self, watch):
        watch.run(END - 500)
        assert (watch.stopped, watch.told, watch.log(), watch.notice_file.exists()) == ([], [], "", False)

    def test_a_notice_is_told_at_once_and_the_engines_go_30_seconds_before_the_end_once(self, watch):
        watch.run(END - 118)
        watch.notice_file.parent.mkdir(mode=0o700)
        watch.says = NOTICE
        watch.run(END - 100)
        assert watch.notice_file.read_text() == "2026-11-27T10:00:00Z terminate\n"
        assert watch.notice_file.stat().st_mode & 0o777 == 0o644
        assert watch.notice_file.parent.stat().st_mode & 0o777 == 0o755, "tasks may look at it"
        ((*_, shared, mark, text),) = watch.told
        assert (shared, mark, text) == (
            "/home/me/.clusterctl/interruptions",
            "i-1@boot",
            "2026-11-27T10:00:00Z terminate",
        )
        assert watch.stopped == []
        watch.run(END + 60)
        assert watch.stopped == [-30.0]
        assert len(watch.told) == 1
        assert "this instance will be taken: 2026-11-27T10:00:00Z terminate" in watch.log()

    def test_a_notice_that_comes_late_stops_them_at_once(self, watch):
        watch.now, watch.says = END - 12.5, {**NOTICE, "action": "hibernate"}
        watch.run(END)
        assert watch.stopped == [-12.5]

    @pytest.mark.parametrize("time", ["2026-11-27T12:00:00Z", "soon"])
    def test_a_clock_that_is_slow_or_a_time_that_nobody_understands_costs_no_more_than_two_minutes(self, watch, time):
        watch.now, watch.says = END, {**NOTICE, "time": time}
        watch.run(END + 200)
        assert watch.stopped == [90.0]

    def test_one_that_is_taken_back_leaves_the_engines_alone(self, watch):
        watch.now, watch.says = END - 100, NOTICE
        watch.run(END - 90)
        watch.says = None
        watch.run(END + 60)
        assert watch.stopped == []
        assert not watch.notice_file.exists()
        assert len(watch.told) == 2
        assert "taken back" in watch.log()

    def test_the_controller_is_told_again_and_again_since_it_may_be_another_one_by_now(self, watch):
        watch.now, watch.says = END - 100, NOTICE
        watch.run(END - 80)
        assert watch.drained == [(-100.0, []), (-95.0, []), (-90.0, []), (-85.0, [])]

    def test_who_tells_it_is_not_overtaken(self, watch):
        watch.now, watch.says, watch.controller = END - 100, NOTICE, None
        watch.run(END - 80)
        assert len(watch.drained) == 1

    def test_a_notice_that_is_taken_back_is_told_until_it_is_heard(self, watch):
        watch.now, watch.says = END - 100, NOTICE
        watch.run(END - 95)
        watch.says, watch.controller = None, 1
        watch.run(END - 85)
        watch.controller = 0
        watch.run(END + 60)
        assert watch.drained == [(-100.0, []), *((at, ["--over"]) for at in (-95.0, -90.0, -85.0))]

    def test_a_recommendation_is_told_and_stops_nothing(self, watch):
        watch.recommends = "2026-11-27T09:50:00Z"
        watch.run(END - 900)
        watch.recommends = ""
        watch.run(END - 800)
        told, untold = watch.told
        assert told[-2:] == ["i-1@boot~hint", "2026-11-27T09:50:00Z"]
        assert untold[-1] == "i-1@boot~hint"
        assert (watch.drained, watch.stopped) == ([], [])

    def test_a_service_that_does_not_answer_is_said_once_and_forgets_no_notice(self, watch):
        watch.now, watch.says = END - 100, NOTICE
        watch.run(END - 90)
        watch.says = OSError("no route")
        watch.run(END + 60)
        assert watch.stopped == [-30.0]
        watch.says = NOTICE
        watch.run(END + 70)
        log = watch.log()
        assert log.count("does not answer: no route") == 1
        assert log.count("answers again") == 1

    def test_engines_that_cannot_be_stopped_are_not_tried_for_ever(self, watch):
        watch.now, watch.says, watch.status = END - 10, NOTICE, 3
        watch.run(END + 30)
        assert watch.stopped == [-10.0]
        assert "ended with status 3" in watch.log()


class TestMetadata:
    @pytest.fixture
    def service(self, tmp_path, allow_loopback, monkeypatch):
        """The service, and what asks it, on a node that has a proxy for everything."""
        made = metadata_service.server(tmp_path)
        thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv("no_proxy", "")
        yield spot_watch.Metadata(f"http://127.0.0.1:{made.server_port}")
        made.shutdown()
        thread.join()
        made.server_close()

    def asked(self, tmp_path):
        return [(line.split()[0], line.split()[-1]) for line in (tmp_path / "asked").read_text().splitlines()]

    def test_one_token_serves_for_many_questions_and_a_new_one_is_got_when_it_is_too_old(self, service, tmp_path):
        assert service.notice() is None
        (tmp_path / "notice").write_text(json.dumps(NOTICE))
        assert service.notice() == NOTICE
        assert self.asked(tmp_path) == [("PUT", "200"), ("GET", "404"), ("GET", "200")]
        (tmp_path / "expired").write_text("token0")
        assert service.notice() == NOTICE
        assert self.asked(tmp_path)[3:] == [("GET", "401"), ("PUT", "200"), ("GET", "200")]

    def test_a_recommendation_has_a_question_of_its_own(self, service, tmp_path):
        assert service.recommendation() == ""
        (tmp_path / "rebalance").write_text('{"noticeTime": "2026-11-27T09:50:00Z"}')
        assert service.recommendation() == "2026-11-27T09:50:00Z"

    @pytest.mark.parametrize("text", ["<html>", "[]", '{"action": "terminate"}', "null"])
    def test_what_is_no_notice_is_none(self, service, tmp_path, text):
        (tmp_path / "notice").write_text(text)
        with pytest.raises(ValueError):  # noqa: PT011  whatever words it has
            service.notice()

    def test_nobody_there_is_an_error_that_the_watch_expects(self, service):
        service.url = "http://127.0.0.1:9"
        with pytest.raises(OSError):  # noqa: PT011
            service.notice()
