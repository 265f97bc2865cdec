"""Python packages: one lock for the whole cluster, one virtual environment a node.

The lock is made on the laptop before anything is created, so a misspelt package costs nothing. uv builds the
environment: on a machine where it is used, on nodes that share a disk once for all of them.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from contextlib import suppress
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
    Order,
    PathList,
    Plan,
    Plugin,
    PluginError,
    Request,
    SecretText,
    Section,
    as_user,
    hookimpl,
    installed,
    locks,
    node_program,
    notes,
    plural,
    render,
    requirements,
    run_program,
    run_reported,
    utc_now,
)

if TYPE_CHECKING:
    from pathlib import Path

_LOCKS = Note("packages locks", dict[str, str])
"""The digest of each lock, by the name of its file."""
_KEEP = "clusterctl.on_node.system.keep_environment"
_COMPILE_AFTER_S = 15
"""By then the engines are up, which have better uses for the processor."""


class Options(Section):
    """The options of the `packages` plugin."""

    packages: CommaList = Field((), description="requirements to install on every node, as pip writes them")
    requirements: PathList = Field(
        (), description="requirements.txt files on this computer, with all they include", examples=["requirements.txt"]
    )
    pyproject: ExpandedPath | None = Field(
        None, description="pyproject.toml whose project's dependencies are installed", examples=["pyproject.toml"]
    )
    extras: CommaList = Field((), description="extras of that project to install too", examples=["plot, test"])
    environment: ExpandedPath | None = Field(
        None, description="conda environment.yml whose `pip:` part is installed", examples=["environment.yml"]
    )
    sync: Flag = Field(
        default=False,
        description="repeat this computer's environment: the active one ($VIRTUAL_ENV, $CONDA_PREFIX),"
        " else that of clusterctl",
    )
    sync_exclude: CommaList = Field((), description="packages that SYNC leaves out", examples=["pyobjc, torch"])
    index_url: SecretText | None = Field(
        None,
        description="package index instead of PyPI; may hold user:password@, which is never shown",
        examples=["https://pypi.example.org/simple"],
    )
    extra_index_urls: SecretText | None = Field(
        None, description="further indexes, separated by commas; each is asked before INDEX_URL"
    )
    find_links: CommaList = Field(
        (),
        description="wheelhouses: URLs of pages with links to wheels, or folders that this computer and the nodes have",
        examples=["https://wheels.example.org/"],
    )
    no_index: Flag = Field(default=False, description="ask no index: all packages are in FIND_LINKS")
    lock_max_age: float = Field(
        24.0,
        ge=0,
        le=87_600,
        description="hours for which a lock made for the same packages is used again without asking the index",
    )


class Packages(Plugin[Options]):
    """Installs what all plugins ask for, at the same versions on every node."""

    waits_for_master = False
    on_every_cluster = True
    order = Order.PACKAGES

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._lock = ""
        self._command = secrets.token_hex(8)
        self._notes: list[str] = []
        self._warnings: list[str] = []
        self._apt: tuple[str, ...] = ()
        self.index = locks.Index(
            default=options.index_url,
            extra=locks.split_urls(options.extra_index_urls) if options.extra_index_urls else (),
            find_links=options.find_links,
            only_links=options.no_index,
        )

    @hookimpl
    def clusterctl_request(self) -> Request:
        """The packages that the section and the files in it name, and those of this computer if asked for."""
        options, wanted = self.options, requirements.Requirements()
        wanted.wanted += requirements.whole(options.packages)
        for path in options.requirements:
            wanted.add_file(path)
        if options.pyproject:
            wanted.add_pyproject(options.pyproject, options.extras)
        elif options.extras:
            wanted.problems.append("EXTRAS needs PYPROJECT: whose extras?")
        if options.environment:
            wanted.add_environment(options.environment)
        wanted.problems += self._faults_of_links()
        if wanted.problems:
            raise PluginError("\n".join(wanted.problems), remedy="correct these; nothing was created")
        self._notes, self._warnings = wanted.notes, []
        if options.sync:
            wanted.wanted += self._local_packages()
        self._apt = ("git",) if any("git+" in line for line in wanted.wanted) else ()
        return Request(pip=tuple(wanted.wanted), apt=self._apt)

    def _faults_of_links(self) -> list[str]:
        links = self.options.find_links
        faults = [f"FIND_LINKS: {link} is neither a URL nor an absolute path" for link in links if not _is_place(link)]
        if self.options.no_index and not links:
            faults.append("NO_INDEX needs FIND_LINKS: packages must come from somewhere")
        return faults

    def _local_packages(self) -> tuple[str, ...]:
        local = installed.read(installed.active(os.environ), exclude=self.options.sync_exclude)
        if local.left_out:
            self._notes.append(f"{local.prefix}: left out, as only this computer has it: {', '.join(local.left_out)}")
        if local.python != locks.python():
            self._warnings.append(
                f"{local.prefix} has Python {local.python}, and the nodes get {locks.python()}, as clusterctl has:"
                " functions sent from there will not load; install clusterctl into that environment"
            )
        return local.pins

    @hookimpl
    def clusterctl_prepare(self, cluster: Cluster, plan: Plan) -> None:
        """Resolve all plugins' packages together, once."""
        for note in self._notes:
            cluster.say(note)
        for warning in self._warnings:
            cluster.problem(warning)
        # Members keep their versions though the index changes: only other packages make them join again.
        kept = cluster.folder / f"lock-{locks.key(plan.request.pip)}.txt"
        lock = self._read_kept(cluster, kept)
        if lock is None:
            lock = self._find_lock(cluster, plan.request.pip)
            locks.write_lock(kept, lock)
            lock = locks.read_lock(kept)
        self._lock = lock or ""
        digests = cluster.recall(_LOCKS) or {}
        cluster.remember(_LOCKS, {**digests, kept.name: locks.digest(self._lock)})
        local = locks.local_lines(self._lock) if plan.provider != "local" else []
        if local:
            raise PluginError(
                f"only this computer has: {', '.join(local)}", remedy="put it into an index, or a wheelhouse"
            )
        cluster.remember(notes.ENVIRONMENT, locks.digest(self._lock))
        cluster.remember(notes.PYTHON, locks.python())

    @hookimpl
    def clusterctl_join(self, cluster: Cluster, node: Node) -> None:
        """Give the node the environment of the lock, and the files that plugins asked for."""
        request = cluster.request
        others = [name for name in request.apt if name not in self._apt]
        if others and Facet.MACHINE not in node.facets:
            cluster.say(f"{node.alias}: system packages are not needed here ({', '.join(others)})")
        files = ""
        if request.files:
            writing = render("packages_files.sh.j2", home=node.layout.home, files=request.files)
            files = as_user(node, cluster.user, writing)
        self._install_script(cluster, node, files=files)

    @hookimpl
    def clusterctl_bake(self, cluster: Cluster, node: Node) -> None:
        """Put the environment of the lock onto an image."""
        self._install_script(cluster, node, compiled=True)

    def _install_script(self, cluster: Cluster, node: Node, *, files: str = "", compiled: bool = False) -> None:
        shared = cluster.recall(notes.SHARED_KEYS)
        script = render(
            "packages_join.sh.j2",
            machine=Facet.MACHINE in node.facets,
            keys=shared if shared and not compiled else (),
            user=node.user,
            state=node.layout.state,
            # An image has its environment in itself.
            common={Facet.MACHINE, Facet.SHARED_CACHE} <= node.facets and not compiled,
            layout=node.layout,
            folder=node.layout.env.parent,
            files=files,
            variables=None if Facet.MACHINE in node.facets else json.dumps(dict(cluster.request.environment)),
            record="" if compiled or not node.is_master else cluster.bring_record(),
            python=locks.python(),
            lock=self._lock,
            digest=locks.digest(self._lock),
            index=self.index,
            sync=" ".join(self._sync_arguments()),
            compile=compiled,
            compile_after_s=_COMPILE_AFTER_S,
            uv=locks.uv_version(),
            build=node_program("clusterctl.on_node.system.build_environment", self._build_values(node)),
            look=node_program(_KEEP, {"act": "look", "command": self._command}),
            seal=node_program(_KEEP, {"act": "seal"}),
            fetch_uv=run_program("python3", "clusterctl.on_node.system.fetch_uv", self._uv_values(node)),
        )
        run_reported(cluster, node, script, name="packages: environment")

    def _sync_arguments(self) -> tuple[str, ...]:
        return ("--allow-empty-requirements", *self.index.arguments())

    def _build_values(self, node: Node) -> dict[str, object]:
        """Which environment to build where nodes share a cache, and what points to it."""
        return {
            "cache": node.layout.cache / "environments",
            "name": locks.digest(self._lock),
            # Hidden, so that no node can have its name.
            "clones": node.layout.env.parent.parent / ".environments",
            "env": node.layout.env,
            "lock": self._lock,
            "sync": self._sync_arguments(),
            "command": self._command,
        }

    def _uv_values(self, node: Node) -> dict[str, object]:
        """Which uv to fetch, and where to."""
        target = node.layout.env.parent / "bin" / "uv"
        return {"version": locks.uv_version(), "only_links": self.index.only_links, "target": target}

    @hookimpl
    def clusterctl_undo(self, cluster: Cluster, node: Node) -> None:
        """Take the environment off, and with it all else that is ours."""
        folder = node.layout.env.parent
        script = render("packages_leave.sh.j2", mark=cluster.mark, layout=node.layout, folder=folder)
        run_reported(cluster, node, script, name="packages: remove")

    def _read_kept(self, cluster: Cluster, kept: Path) -> str | None:
        """The lock that the cluster has had, as it was written; None if there is none, or it was damaged."""
        if not kept.exists():
            return None
        digests = cluster.recall(_LOCKS) or {}
        known = digests.get(kept.name)
        if known is None and not digests:  # of an earlier version, which remembered the last one alone
            known = cluster.recall(notes.ENVIRONMENT)
            lock = locks.read_lock(kept, known) or locks.read_lock(kept)
        else:
            lock = locks.read_lock(kept, known)
        if lock is None:
            cluster.say(f"{kept} is damaged: the packages are resolved anew")
        return lock

    def _find_lock(self, cluster: Cluster, wanted: tuple[str, ...]) -> str:
        """A recent lock of the same requirements, else a new one; an old one if the index is out of reach."""
        known = cluster.recall(notes.ENVIRONMENT)
        cache = locks.cache_file(locks.key(wanted, self.index))
        age_h = (utc_now().timestamp() - cache.stat().st_mtime) / 3600 if cache.exists() else float("inf")
        if age_h <= self.options.lock_max_age and (kept := locks.read_cached(cache, known)) is not None:
            return kept
        cluster.say(f"Resolving {plural(len(wanted), 'package')}")
        try:
            lock = locks.resolve(wanted, self.index)
        except locks.IndexOutOfReachError:
            kept = locks.read_cached(cache, known)
            if kept is None:
                raise
            cluster.problem(f"the package index is out of reach: using the versions resolved {age_h:.0f} hours ago")
            return kept
        with suppress(OSError):  # only a cache
            locks.write_cached(cache, lock)
        return lock


def _is_place(link: str) -> bool:
    return re.match(r"https?://|/", link) is not None
