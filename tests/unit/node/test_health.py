"""What a node says of its services is a stranger's word; and each service comes with a watch."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from clusterctl.model import Facet
from clusterctl.node import health, services, watch
from clusterctl.service import Probe, Service
from clusterctl.testing import fake_node

NODE = fake_node()
SYSTEMD = fake_node(facets=frozenset({Facet.MACHINE, Facet.INIT}))
WEB = Service("web", ["x"], PurePosixPath("/"))
PROBE = Probe("clusterctl.on_node.system.probe_http", {"part": "page", "port": 80, "path": PurePosixPath("/")})
FOUND = {
    "service": "web",
    "number": 0,
    "trouble": "page is deaf",
    "facts": {"visits": 3},
    "restarts": {"count": 2, "why": "page is deaf"},
}


def test_what_was_found_is_read():
    said = {"manager": "", "services": [FOUND], "watched": True}
    found = health.parse(f"a line of somebody's profile\n{json.dumps(said)}\n")
    (web,) = found.services
    assert (found.manager, found.watched) == ("", True)
    assert (web.trouble, web.facts, web.restarts) == ("page is deaf", {"visits": 3}, 2)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "not JSON",
        "[]",
        "{}",
        '{"manager": "", "services": 3}',
        '{"manager": "", "services": [3]}',
        json.dumps({"manager": "", "services": [{"service": "web", "number": 0, "facts": {}}]}),
        json.dumps({"manager": "", "services": [{**FOUND, "number": "x"}]}),
        json.dumps({"manager": "", "services": [{**FOUND, "number": float("inf")}]}),
        json.dumps({"manager": "", "services": [{**FOUND, "number": float("nan")}]}),
        json.dumps({"manager": "", "services": [{**FOUND, "facts": 3}]}),
        json.dumps({"manager": "", "services": [{**FOUND, "restarts": "x"}]}),
    ],
)
def test_what_is_not_as_agreed_is_trouble_and_no_crash(said):
    assert health.parse(said).manager == "gave an answer that cannot be read"


def test_a_node_whose_services_have_no_probes_is_asked_nothing(tmp_path, allow_subprocess):
    for manager, probes in (("", False), ("does not run", True)):
        node = replace(NODE, layout=replace(NODE.layout, state=PurePosixPath(tmp_path)))
        if probes:
            (tmp_path / "services" / "probes").mkdir(parents=True)
            (tmp_path / "services" / "probes" / "web.json").touch()
        done = subprocess.run(["sh", "-eu"], input=health.script(node), capture_output=True, text=True)
        assert health.parse(done.stdout).manager == manager


class TestWatch:
    @pytest.mark.parametrize(("node", "unit"), [(NODE, "[program:watch]"), (SYSTEMD, "clusterctl-watch@0.service")])
    def test_it_comes_with_every_service(self, node, unit):
        assert unit in services.ensure(node, [WEB])

    def test_supervisord_is_watched_and_systemd_is_not(self):
        assert "start" in watch.program_values(NODE)
        assert "start" not in watch.program_values(SYSTEMD)

    @pytest.mark.parametrize("node", [NODE, SYSTEMD])
    def test_a_probe_goes_to_the_node_and_one_that_is_gone_is_removed(self, node):
        file = f"{node.layout.state}/services/probes/web"
        svc = "$svc/probes/web"
        assert f'whole "{svc}.json"' in services.ensure(node, [replace(WEB, probe=PROBE)])
        assert f'rm "{svc}.json"' in services.ensure(node, [WEB])
        stop = services.stop(node, ["web"])
        assert f"{svc}.json" in stop or f"{file}.json" in stop or "probes/web.json" in stop

    @pytest.mark.parametrize("node", [NODE, SYSTEMD])
    def test_a_script_that_is_killed_leaves_no_half_of_its_program(self, node):
        script = services.ensure(node, [WEB])
        assert 'whole "$svc/watch.py"' in script
        assert '> "$svc/watch.py"' not in script

    def test_another_probe_restarts_nothing(self):
        texts = [services.ensure(NODE, [replace(WEB, probe=probe)]) for probe in (None, PROBE)]
        sections = [text[text.index("[program:web]") : text.index("[program:watch]")] for text in texts]
        assert sections[0] == sections[1]

    def test_its_values_are_what_json_can_say(self):
        (text,) = watch.probe_files([replace(WEB, count=2, first=3, probe=PROBE)]).values()
        about = json.loads(text)
        assert (about["first"], about["count"]) == (3, 2)
        assert about["values"] == {"part": "page", "port": 80, "path": "/"}
