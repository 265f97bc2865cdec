"""More users beside the cluster user: the same on every node, each with a key to log in with."""

from __future__ import annotations

import base64
import re
import threading
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from clusterctl.api import (
    Cluster,
    CommaList,
    ExpandedPath,
    Facet,
    Field,
    Flag,
    Node,
    Note,
    Plugin,
    PluginError,
    Request,
    Section,
    hookimpl,
    plural,
    render,
    run_reported,
    write_atomically,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_NUMBERS = Note("users", dict[str, tuple[str, str]])
"""The key under which the cluster remembers every user's numbers."""
_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_BELOW = PurePosixPath("/home")


class Options(Section):
    """The options of the `users` plugin."""

    usernames: CommaList = Field((), description="users to make", examples=["anna, ben"])
    num_users: int | None = Field(
        None, ge=1, le=999, description="so many more: user001, user002, ...", examples=["20"]
    )
    prefix: str = Field(
        "user", pattern=r"^[a-z_][a-z0-9_-]{0,27}$", description="what the names of NUM_USERS begin with"
    )
    homes: str = Field(
        "users", pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", description="folder below /home that holds their homes"
    )
    download_keys: Flag = Field(default=True, description="copy their private keys to this computer")
    download_keys_dir: ExpandedPath | None = Field(
        None, description="where to; default: `users` in the cluster's folder", examples=["~/course-keys"]
    )
    keep_homes: Flag = Field(default=True, description="static: keep their homes when the cluster ends")


class Users(Plugin[Options]):
    """Makes users with the same number on every node and a shared home."""

    needs = frozenset({Facet.MACHINE})

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._lock = threading.Lock()

    @hookimpl
    def clusterctl_request(self) -> Request:
        """The folder of their homes, the same on all nodes."""
        return Request(shared=(str(self._users_folder),))

    @hookimpl
    def clusterctl_prepare(self, cluster: Cluster) -> None:
        """Refuse names that cannot be users'."""
        wrong = [name for name in self._user_names() if not _NAME.fullmatch(name) or name in {"root", cluster.user}]
        if wrong:
            raise PluginError(
                f"these cannot be further users: {', '.join(wrong)}",
                remedy="use lower-case letters, digits, - and _; neither root nor the cluster user",
            )

    @hookimpl
    def clusterctl_join(self, cluster: Cluster, node: Node) -> None:
        """Make the users; on the master first, which chooses their numbers and makes their keys."""
        names = self._user_names()
        if not names:
            raise PluginError("there is no user to make", remedy="set USERNAMES or NUM_USERS in [plugin users]")
        numbers = _remembered_users(cluster) if node.is_master else self._user_numbers(cluster, names)
        script = render(
            "users_join.sh.j2",
            cluster=cluster.name,
            mark=cluster.mark,
            lasting=Facet.LASTING in node.facets,
            master=node.is_master,
            shared=Facet.SHARED_HOME in node.facets,
            shell=cluster.machines.shell,
            folder=self._users_folder,
            users=[(name, *numbers.get(name, ("", ""))) for name in names],
            keys=self.options.download_keys,
        )
        report = run_reported(cluster, node, script, name="users: make", secret=True)
        if node.is_master:
            cluster.remember(_NUMBERS, {name: _two_numbers(report.facts[f"user-{name}"]) for name in names})
            self._keep_keys(cluster, report.facts)

    @hookimpl
    def clusterctl_undo(self, cluster: Cluster, node: Node) -> None:
        """Remove the users."""
        script = render(
            "users_leave.sh.j2",
            cluster=cluster.name,
            mark=cluster.mark,
            master=node.is_master,
            folder=self._users_folder,
            keep_homes=self.options.keep_homes,
        )
        run_reported(cluster, node, script, name="users: leave")

    @property
    def _users_folder(self) -> PurePosixPath:
        return _BELOW / self.options.homes

    def _user_names(self) -> list[str]:
        """All users' names, each once."""
        numbered = [f"{self.options.prefix}{number:03d}" for number in range(1, (self.options.num_users or 0) + 1)]
        return list(dict.fromkeys([*self.options.usernames, *numbered]))

    def _user_numbers(self, cluster: Cluster, names: list[str]) -> Mapping[str, tuple[str, str]]:
        """Everybody's uid and gid, from the laptop, or from the master if they were lost there."""
        with self._lock:  # workers join side by side
            known = _remembered_users(cluster)
            if not set(names) <= set(known):
                command = f'for name in {" ".join(names)}; do echo "$name $(id -u "$name") $(id -g "$name")"; done'
                lines = cluster.on(cluster.master).run(command, sudo=True).stdout.splitlines()
                known = {name: (uid, gid) for name, uid, gid in (line.split() for line in lines)}
                cluster.remember(_NUMBERS, known)
            return known

    def _keep_keys(self, cluster: Cluster, facts: Mapping[str, str]) -> None:
        """Write the private keys, each whole or not at all and for its owner only."""
        if not self.options.download_keys:
            return
        folder = Path(self.options.download_keys_dir or cluster.folder / "users")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = [
            name for name in self._user_names() if _write_changed(folder / name, base64.b64decode(facts[f"key-{name}"]))
        ]
        if new:
            cluster.say(f"The keys of {plural(len(new), 'user')} are in {folder}")


def _write_changed(path: Path, content: bytes) -> bool:
    """Whether there was something to write."""
    if path.exists() and path.read_bytes() == content:
        return False
    write_atomically(path, content)
    return True


def _two_numbers(text: str) -> tuple[str, str]:
    """Uid and gid of a text with both."""
    uid, gid = text.split()
    return uid, gid


def _remembered_users(cluster: Cluster) -> dict[str, tuple[str, str]]:
    return cluster.recall(_NUMBERS) or {}
