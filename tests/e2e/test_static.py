"""Hosts that refuse us: nothing is done to anybody, and it does not take START_TIMEOUT to say so.

Hosts that let us in: tests/e2e/test_systemd_hosts.py.
"""

from __future__ import annotations

import getpass

import pytest

from clusterctl.identity.keys import ensure_key_pair

from ..support.sshds import servers

pytestmark = pytest.mark.e2e


@pytest.fixture
def rack(tmp_path, new_laptop):
    """A host that lets nobody in, and a laptop whose config lists it."""
    with servers() as sshds:
        host = sshds.start()
        config = tmp_path / "config"

        def write(**options):
            lines = [f"{key} = {value}" for key, value in options.items()]
            config.write_text(
                "[cluster rack]\nCLUSTER_USER = ada\nPLUGINS =\nHOSTS = alpha\n"
                f"[host alpha]\nADDRESS = 127.0.0.1\nPORT = {host.port}\nUSER = {getpass.getuser()}\n"
                + "\n".join([*lines, ""])
            )

        (tmp_path / "me").mkdir()
        laptop = new_laptop(more={"CLUSTERCTL_CONFIG": str(config), "HOME": str(tmp_path / "me"), "SSH_AUTH_SOCK": ""})
        yield laptop, host, write


def test_a_host_that_nobody_knows_is_not_even_connected_to(rack):
    laptop, host, write = rack
    write()
    laptop.refuse(
        "start", "lab", status=1, says=[f"no host key is known of alpha (127.0.0.1:{host.port})", "ssh-keyscan"]
    )
    assert laptop.json("list", "--json") == []
    assert "Connection from" not in host.log


@pytest.mark.parametrize("fault", ["key", "host key"])
def test_one_that_refuses_or_is_refused_ends_the_start_soon_and_can_be_given_back(rack, tmp_path, fault):
    laptop, host, write = rack
    write(HOST_KEY=host.host_key if fault == "key" else ensure_key_pair(tmp_path / "another"))
    said = "is not let in at" if fault == "key" else "shows another host key"
    laptop.refuse("start", "lab", status=1, says=[said])
    (listed,) = laptop.json("list", "--json")
    assert [node["address"] for node in listed["nodes"]] == ["127.0.0.1"]
    assert laptop.run("terminate", "-y", "lab").stdout.count("lab is gone") == 1
    assert laptop.json("list", "--json") == []
    assert "Accepted" not in host.log
