"""The `local` provider: each node is an SSH server of ours on this computer's loopback."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from clusterctl.errors import ProviderError
from clusterctl.events import SILENT
from clusterctl.files import ensure_folder, set_aside
from clusterctl.formats import read_known
from clusterctl.laptop.places import find_intruder
from clusterctl.model import Node, NodeState, Plan, Problem
from clusterctl.providers.local import machine, processes
from clusterctl.providers.local.environment import cache_folder
from clusterctl.providers.local.nodes import (
    FACETS,
    Record,
    admit_key,
    node_folders,
    node_of,
    read_record,
    remove_tree,
    run_folder,
    state_of,
    write_json,
)
from clusterctl.providers.local.power import power_off, power_on
from clusterctl.providers.local.preparation import prepare_node, uv_program
from clusterctl.providers.outliving import KeptHome

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clusterctl.events import Reporter


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HOME = "home"
_KILL_S = 2.0
_REMEDIES = {
    errno.ENOSPC: "free some space there, or set CLUSTERCTL_HOME to a folder on another disk",
    errno.EDQUOT: "free some space there, or set CLUSTERCTL_HOME to a folder on another disk",
    errno.EACCES: "make it writable, or set CLUSTERCTL_HOME to a folder that is",
    errno.EPERM: "make it writable, or set CLUSTERCTL_HOME to a folder that is",
    errno.EROFS: "set CLUSTERCTL_HOME to a folder that can be written",
    errno.EADDRINUSE: "end programs that hold many ports on this machine, then start again",
    errno.EMFILE: "allow more open files (ulimit -n 4096), or ask for fewer nodes",
    errno.ENFILE: "end programs that hold many open files, or ask for fewer nodes",
    errno.EAGAIN: "end some programs, or allow more processes (ulimit -u)",
    errno.ENOMEM: "ask for fewer nodes, or end programs that hold much memory",
}


class LocalProvider:
    """Makes a folder and an SSH server for each node. Implements `Provider` and `Power`."""

    name = "local"
    facets = FACETS

    def __init__(self, root: Path, env: Mapping[str, str]) -> None:
        """Make a provider.

        Args:
            root: the folder that holds the clusters.
            env: the environment that nodes are started with.
        """
        self._root = root.resolve()
        self._env = env
        self._cache = cache_folder(env) / "clusterctl"

    def check(self, plan: Plan, report: Reporter = SILENT) -> list[Problem]:
        """Return the problems that would stop this plan. Changes nothing."""
        del report
        problems: list[Problem] = []
        names = (plan.cluster, *(spec.alias for spec in plan.nodes))
        problems += [
            Problem(f"{name!r} cannot be a folder's name here", "use letters, digits, - and _")
            for name in names
            if not _NAME.fullmatch(name) or name == _HOME
        ]
        if re.search(r"\s[;#]|[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]", str(self._root)):
            # For the service manager a comment begins there, or the line ends; it has no way to quote.
            text = f"{str(self._root)!r} has a line end in it, or a blank and then ; or #"
            problems.append(Problem(text, "set CLUSTERCTL_HOME to a folder without"))
        existing = next(path for path in (self._root, *self._root.parents) if path.exists())
        if not os.access(existing, os.W_OK | os.X_OK):
            problems.append(Problem(f"{existing} cannot be written", _REMEDIES[errno.EACCES]))
        if intruder := find_intruder(self._cache):
            # What nodes run comes from there.
            text = f"other users could put files of theirs in the cache {self._cache}: {intruder}"
            problems.append(Problem(text, "set XDG_CACHE_HOME to a folder of your own, or close it to others"))
        if uv_program() is None:
            problems.append(Problem("uv is not installed beside clusterctl", "pip install uv"))
        return problems

    def create(self, plan: Plan, *, public_key: str, report: Reporter = SILENT) -> list[Node]:
        """Start the nodes of `plan` that do not run. They keep their address, port and host key.

        Clients can connect at once: the sockets listen before the servers run.
        """
        cluster = self._cluster_folder(plan.cluster)
        aliases = [spec.alias for spec in plan.nodes]
        before = {folder: read_record(folder) for folder in map(cluster.joinpath, aliases)}
        missing = {
            folder: record
            for folder, record in before.items()
            if record is None or state_of(folder, record) is NodeState.STOPPED
        }
        for folder in [folder for folder, record in before.items() if record is None and folder.is_dir()]:
            if os.path.lexists(folder / "node.json"):
                aside = set_aside(folder / "node.json")
                report.warn(f"the record of {folder.name} was damaged, so the node is made anew: see {aside or folder}")
        if missing:
            self._start_nodes(cluster, missing, public_key=public_key, size=len(aliases))
        return [node for node in self.nodes(plan.cluster) if node.alias in aliases]

    def nodes(self, cluster: str | None = None) -> list[Node]:
        """Return the nodes that have a record. Their state is read from their processes."""
        names = [cluster] if cluster is not None else _list_subfolders(self._root)
        paths = [folder for name in names for folder in node_folders(self._cluster_folder(name))]
        nodes = [*map(self._read_node, paths)] if cluster is not None else read_known(self._read_node, paths)
        return [node for node in nodes if node]

    def _read_node(self, folder: Path) -> Node | None:
        record = read_record(folder)
        return node_of(folder, record, cache=self._cache) if record else None

    def destroy(self, cluster: str, aliases: Sequence[str] | None = None) -> None:
        """End these nodes and delete their folders, or the whole cluster with the shared home."""
        folder = self._cluster_folder(cluster)
        present = [name for name in _list_subfolders(folder) if name != _HOME]
        to_remove = [folder / name for name in present if aliases is None or name in aliases]
        _power_off_all(cluster, to_remove, gently=False)
        lost = self._kill_lost(folder) if aliases is None else []
        try:
            for node in [*to_remove, *lost]:
                _remove_node(node)
            if aliases is None:
                remove_tree(folder)
        except OSError as exc:
            raise ProviderError(
                f"the nodes have ended, but not all of {folder} could be deleted: {exc}",
                remedy=f"delete {folder} by hand",
            ) from exc

    def lingers(self, cluster: str) -> bool:
        """Return whether processes of a cluster run, although its folder may be gone."""
        return bool(processes.find_cluster_processes(str(self._cluster_folder(cluster))))

    def _kill_lost(self, cluster: Path) -> list[Path]:
        """End the processes of nodes whose folders are gone. Return these folders."""
        left = processes.find_cluster_processes(str(cluster))
        if not left:
            return []
        roots = {root for process in left for root in processes.roots_of(process)}
        stuck = processes.kill_cluster_processes(str(cluster), timeout_s=_KILL_S)
        if stuck:
            raise _stuck_error(cluster.name, stuck)
        return [Path(root) for root in sorted(roots) if Path(root).parent == cluster]

    def admit(self, cluster: str, public_key: str) -> None:
        """Let a key log in to all nodes."""
        try:
            for folder in node_folders(self._cluster_folder(cluster)):
                admit_key(folder, public_key)
        except OSError as exc:
            raise ProviderError(
                f"{exc.filename or cluster} cannot be written: {exc.strerror or exc}", remedy="fix its permissions"
            ) from exc

    def find_home(self, cluster: str) -> KeptHome | None:
        """Return the folder with the home, which lies beside those of the nodes."""
        home = self._cluster_folder(cluster) / _HOME
        return KeptHome(f"the folder {home} with its home") if home.is_dir() else None

    def stop(self, cluster: str) -> None:
        """Power the nodes off and keep their folders."""
        _power_off_all(cluster, node_folders(self._cluster_folder(cluster)), gently=True)

    def _cluster_folder(self, cluster: str) -> Path:
        if not _NAME.fullmatch(cluster):
            raise ProviderError(f"{cluster!r} cannot be a cluster's name", remedy="use letters, digits, - and _")
        return self._root / cluster

    def _start_nodes(self, cluster: Path, missing: Mapping[Path, Record | None], *, public_key: str, size: int) -> None:
        """Start these nodes, each with its old record. Undo everything if a step fails."""
        fresh = not cluster.exists()
        cores = max(1, machine.usable_cores() // size)
        with contextlib.ExitStack() as opened:
            try:
                # Processes that a killed guardian left behind, or a lost folder, would disturb the new boot.
                known = {str(folder) for folder in missing if folder.exists() or run_folder(folder).exists()}
                if known:
                    processes.kill_node_processes(known, timeout_s=_KILL_S)
                starts = {}
                for folder, record in missing.items():
                    starts[folder] = prepare_node(opened, folder, record, public_key=public_key, cores=cores)
                ensure_folder(self._cache)
                power_on(starts, self._env)
            except BaseException as cause:
                opened.close()  # else our own hold on a launch would be waited for
                error = _explain_error(cause, self._root)
                _roll_back(cluster, missing, fresh=fresh, error=error)
                if error is cause:
                    raise
                raise error from cause


def _list_subfolders(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and _NAME.fullmatch(path.name))


def _power_off_all(cluster: str, folders: Sequence[Path], *, gently: bool) -> None:
    stuck = power_off(folders, gently=gently) if folders else []
    if stuck:
        raise _stuck_error(cluster, stuck)


def _stuck_error(cluster: str, stuck: Sequence[int]) -> ProviderError:
    numbers = " ".join(str(pid) for pid in stuck)
    return ProviderError(
        f"processes of {cluster} would not end: {numbers}",
        remedy=f"try once more, or kill them: kill -9 {numbers}",
    )


def _remove_node(node: Path) -> None:
    """Delete a node's folders. The record is deleted last, so that a second try still finds the rest."""
    record = read_record(node)
    run = Path(record.run) if record else run_folder(node)
    remove_tree(run)
    with contextlib.suppress(OSError):  # other nodes still have folders there
        run.parent.rmdir()
    remove_tree(node)


def _explain_error(cause: BaseException, root: Path) -> BaseException:
    """Return an OSError as a ProviderError with a remedy; other errors unchanged."""
    if not isinstance(cause, OSError):
        return cause
    place = cause.filename or root
    return ProviderError(
        f"local nodes cannot be made: {cause.strerror or cause} ({place})",
        remedy=_REMEDIES.get(cause.errno or 0, f"look into {root}, then start again"),
    )


def _roll_back(cluster: Path, missing: Mapping[Path, Record | None], *, fresh: bool, error: BaseException) -> None:
    """Restore the state from before. What cannot be undone is noted on the error."""
    try:
        left = power_off(list(missing), gently=False)
        for folder, record in missing.items():
            if record:
                write_json(folder / "node.json", record)
            else:
                _remove_node(folder)
        if fresh:
            remove_tree(cluster)
        note = f"processes may still be running: {left}" if left else ""
    except Exception as exc:  # noqa: BLE001  # the first error is reported
        note = f"not all could be undone: {exc}"
    if note and hasattr(error, "add_note"):  # Python 3.11
        error.add_note(f"{note}; see {cluster}")
