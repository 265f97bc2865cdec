"""A config file of today, and the one of 2013."""

from __future__ import annotations

import pytest

from ..support.talk import SECTIONS

pytestmark = pytest.mark.e2e

TALK = (
    SECTIONS
    + """
[cluster ip]
PROVIDER = local
KEYNAME = mykey
CLUSTER_USER = iptest
NODE_IMAGE_ID = ami-999d49f0
NODE_INSTANCE_TYPE = c1.xlarge
DISABLE_QUEUE = True
SPOT_BID = 0.10
PLUGINS = ippackages, ipcluster
"""
)
"""As it was shown, but for the provider."""


@pytest.mark.slow
def test_the_talks_file_and_the_lines_that_were_typed(new_laptop):
    # Its cluster was far away: the first start opens the tunnel.
    laptop = new_laptop(more={"CLUSTERCTL_TUNNEL": "always"})
    laptop.home.mkdir()
    (laptop.home / "config").write_text(TALK)
    started = laptop.run("start", "mycluster", "-s", "3", "-b", "0.07", "--force-spot-master").stdout
    assert "msgpack-python, a package since renamed, is read as msgpack" in started
    assert "ami-999d49f0" in started
    assert "engines on 3 nodes for " in started
    assert laptop.json("tunnel", "--json")["forwards"]
    (found,) = laptop.json("list", "--json")
    count = found["engines"]
    assert count >= 3
    assert found["notebook_url"]
    packages = (
        "import clusterctl\nclient = clusterctl.connect('mycluster')\n"
        "def versions():\n    import IPython, msgpack, sklearn\n    return sklearn.__version__\n"
        "assert len(set(client[:].apply_sync(versions))) == 1\nprint(len(client))\nclient.close()"
    )
    assert laptop.python(packages) == f"{count}\n"
    assert laptop.run("sshmaster", "mycluster", "ls", "notebooks").stdout == "clusterctl.ipynb\n"
    again = laptop.run("start", "-s", "3", "--force-spot-master", "mycluster").stdout
    assert "already running" in again
