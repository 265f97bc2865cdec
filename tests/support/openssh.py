"""What tests with OpenSSH share besides the servers: an agent, keys with a passphrase, a nasty command."""

from __future__ import annotations

import subprocess
import time

import pytest

from clusterctl.identity.keys import ensure_key_pair
from clusterctl.model import Facet

from .sshds import require

HOST = frozenset({Facet.MACHINE, Facet.INIT, Facet.LASTING})
NASTY = """echo "it's $((1+1)) \\\\ back"; echo 'hi! there!x'
echo ünï `echo tick`; printf 'a\\tb\\n'; echo '%d %%' {a,b} [x]* "$0" | cat
(exit 5)"""
SAID = "it's 2 \\ back\nhi! there!x\nünï tick\na\tb\n%d %% {a,b} [x]* sh\n"


@pytest.fixture
def agent(home, tmp_path, monkeypatch):
    """An ssh agent; call it with the keys that it shall hold."""
    require("ssh-agent", "ssh-add")
    path = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 30
        while not path.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        yield lambda *keys: subprocess.run(["ssh-add", "-q", *keys], check=True)
        process.terminate()


def locked_key(path, agent=None):
    """A key with a passphrase, held by the agent if there is one; returns its public part."""
    public = ensure_key_pair(path)
    if agent:
        agent(path)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "a word", "-f", path], check=True)
    return public
