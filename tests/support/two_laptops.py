"""Two laptops that change one machine by SSH: one is a process of its own, which can be killed."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from clusterctl.errors import OwnerError
from clusterctl.remote.owner import Owner
from clusterctl.remote.ssh import SSHRemote

from .laptop import poll

if TYPE_CHECKING:
    from pathlib import Path

_OTHER = """
import pickle, sys
from pathlib import Path
from clusterctl.remote.ssh import SSHRemote
node, owner, files, scripts = pickle.loads(Path(sys.argv[1]).read_bytes())
remote = SSHRemote(node, owner=lambda: owner, **files)
for script in scripts:
    remote.run_script(script, sudo=True)
print("done", flush=True)
sys.stdin.read()
"""


def owner(home: str, turn: int = 1) -> Owner:
    return Owner(home, turn, f"{home}{turn}", "2026-01-02T03:04:05Z", f"{home}@laptop", "clusterctl start lab")


@dataclass
class TwoLaptops:
    """The same machine, as two laptops know it."""

    node: Any
    files: dict[str, Path]
    folder: Path

    def remote(self, whose: Owner) -> SSHRemote:
        return SSHRemote(self.node, owner=lambda: whose, **self.files)

    @contextmanager
    def other(self, whose: Owner, *scripts: str):
        """Another laptop that runs these scripts and then stays connected."""
        values = self.folder / f"{whose.run}.pickle"
        values.write_bytes(pickle.dumps((self.node, whose, self.files, scripts)))
        with subprocess.Popen(
            [sys.executable, "-c", _OTHER, values], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def check_one_owner_at_a_time(laptops: TwoLaptops) -> None:
    """The second is told who is at work, in a script and between two; once the first is killed it takes over."""
    sleep = f"sleep 600.{random.SystemRandom().randrange(10**8):08}"
    ours = laptops.remote(owner("grace"))
    running = f"pgrep -fx '{sleep}' || :"
    try:
        with laptops.other(owner("ada"), f"({sleep}) & {sleep}") as other:
            poll(lambda: len(ours.run(running).stdout.split()) == 2, "the other's script is at work")
            with pytest.raises(OwnerError, match="another clusterctl is at work there: ada@laptop, clusterctl start"):
                ours.run_script("echo no", sudo=True)
            assert ours.run_script("echo yes", sudo=True, reads=True).stdout == "yes\n"
            other.kill()
            poll(lambda: _takes_over(ours), "what is left of the other has ended")
            assert ours.run(running).stdout == ""
        ours.close()
        with laptops.other(owner("ada", 2), "true") as other:
            assert other.stdout.readline() == "done\n"
            ours = laptops.remote(owner("grace", 2))
            with pytest.raises(OwnerError, match="at work there") as caught:
                ours.run_script("echo no", sudo=True)
            session = caught.value.remedy.rpartition("kill ")[2]
            ours.run(f"kill {session}")
            poll(lambda: _takes_over(ours), "the session that the remedy names has ended")
    finally:
        ours.close()


def _takes_over(ours: SSHRemote) -> bool:
    try:
        return ours.run_script("echo mine", sudo=True).stdout == "mine\n"
    except OwnerError:
        return False
