"""What a master says of its config decides neither on the provider nor on hosts of this computer's user."""

from __future__ import annotations

import pytest

from clusterctl.config import loading
from clusterctl.errors import DeclinedError
from clusterctl.identity.keys import new_key_pair
from clusterctl.operations.owning.record import RecordedHost
from clusterctl.plugin import loader
from clusterctl.wiring import listed_hosts
from clusterctl.wiring.attaching import render_config
from clusterctl.wiring.listed_hosts import HostQuery, with_hosts

KEY = " ".join(new_key_pair("")[1].split()[:2])
SECTION = {"kind": "cluster", "name": "rack", "values": {"provider": "static", "hosts": "root@evil", "plugins": ""}}
HOSTILE = {"format": 1, "sections": [SECTION, {"kind": "host", "name": "alpha", "values": {"address": "evil"}}]}


def read(text, tmp_path):
    path = tmp_path / "config"
    path.write_text(text)
    return loading.read_config(path, template="rack", environ={}, find_plugin=loader.find_plugin_class)


def test_the_provider_is_the_one_that_has_the_nodes_and_hosts_are_left_out(tmp_path):
    text, _ = render_config(HOSTILE, "rack", provider="docker")
    settings = read(text, tmp_path)
    assert (settings.cluster.provider, settings.cluster.hosts, settings.hosts) == ("docker", (), {})
    assert "evil" not in text


def test_hosts_are_those_that_were_asked(tmp_path):
    text, _ = render_config(with_hosts(HOSTILE, "rack", ["master", "node001"]), "rack", provider="")
    settings = read(text, tmp_path)
    assert (settings.cluster.provider, settings.cluster.hosts) == ("static", ("master", "node001"))
    assert "evil" not in text


@pytest.mark.parametrize("document", [None, [], {}, {"sections": 7}, {"sections": [1, {}, {"values": 3}]}])
def test_what_is_no_config_is_none(document):
    assert render_config(with_hosts(document, "rack", ["master"]), "rack", provider="")[0] == ""


def test_of_hosts_that_the_master_alone_tells_of_the_user_reads_all_there_is_to_compare():
    shown = []
    unknown = {"node001": RecordedHost("192.0.2.2", 2222, "admin", "10.0.0.2", KEY, "n")}
    query = HostQuery(confirm=lambda lines: shown.append(lines) or True)
    (host,) = listed_hosts._confirm_hosts(unknown, query)
    assert shown[0][0].startswith("node001: admin@192.0.2.2:2222, host key SHA256:")
    assert host.host_key == ""  # the user's known_hosts say it, and not the master
    with pytest.raises(DeclinedError, match="nothing was changed"):
        listed_hosts._confirm_hosts(unknown, HostQuery(confirm=lambda lines: False))
    with pytest.raises(DeclinedError):
        listed_hosts._confirm_hosts(unknown, HostQuery())
