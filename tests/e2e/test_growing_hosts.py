"""Hosts by the `static` provider: a cluster grows by those that are free, and a master that was installed anew goes on.

They are containers with systemd that share their homes.
"""

from __future__ import annotations

import pytest

from ..support.hosts import USER, started
from ..support.laptop import read_acts
from ..support.systemd_hosts import COUNT

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]
OPTIONS = """
SHARED_HOME = yes
HOME_VOLUME = yes
PLUGINS = ipcluster
CLUSTER_SIZE = 1
SCALE_MAX = 9
SCALE_DOWN_AFTER = 3s

[plugin ipcluster]
ENGINES_PER_NODE = 1
"""
_INSTALL_ANEW = """
systemctl stop 'clusterctl-*' 2>/dev/null || true
find /etc/systemd/system -name '*clusterctl*' -delete
rm -rf /opt/clusterctl /etc/clusterctl /run/clusterctl /var/lib/clusterctl /var/log/clusterctl /var/cache/clusterctl/*
pkill -KILL -u {user} || true
userdel {user}
rm -f /etc/ssh/ssh_host_ed25519_key*
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
systemctl daemon-reload
cat /etc/ssh/ssh_host_ed25519_key.pub
systemctl --no-block restart ssh
"""
"""What is left of a host whose system was installed anew: /home, and another host key."""


@pytest.fixture(scope="module")
def story(systemd_hosts, laptop_class, tmp_path_factory):
    """A cluster on the first of three hosts."""
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    with started(systemd_hosts, laptop, range(COUNT), options=OPTIONS) as made:
        yield made


def test_it_grows_by_the_hosts_that_are_free_and_gives_them_back_as_they_were(story, poll):
    assert story.engines() == {"master": 1}
    with story.laptop.console() as client, story.laptop.begin("watch", "lab", "--every", "1", "--json") as watch:
        client.run(
            "import time, clusterctl\n"
            "client = clusterctl.connect('lab')\n"
            "begun = client.pool().map_async(time.sleep, [1.0] * 90)"
        )
        assert read_acts(watch, "begun", "done") == [("grow", None, "begun"), ("grow", None, "done")]
        assert story.engines() == {"master": 1, "node001": 1, "node002": 1}
        assert client.value("len(begun.get())") == 90
        poll(lambda: story.engines() == {"master": 1}, "the others have left", deadline_s=180, every_s=2)
    for host in (1, 2):
        assert story.hosts.on(host, "ls -d /opt/clusterctl /var/lib/clusterctl 2>/dev/null || true") == ""


def test_a_master_that_was_installed_anew_goes_on_with_its_home_and_the_old_client_json(story):
    file = story.laptop.folder("lab") / "client.json"
    client = file.read_bytes()
    story.hosts.as_user(0, "echo mine >kept")
    uid = story.hosts.on(0, f"id -u {USER}")
    old, new = story.hosts.all[0].host_key, story.hosts.install_anew(0, _INSTALL_ANEW.format(user=USER))
    story.laptop.refuse("start", "lab", status=1, says=["shows another host key"])
    config = story.laptop.home / "config"
    config.write_text(config.read_text().replace(old, new))
    story.laptop.run("start", "lab", timeout=600)
    assert file.read_bytes() == client
    assert story.engines() == {"master": 1}
    assert story.python("answer = client[:].apply_sync(os.getuid)") == [int(uid)]
    assert story.hosts.as_user(0, "cat kept") == "mine"
