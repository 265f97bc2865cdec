"""Python packages: one lock for the whole cluster, one virtual environment a node.

The lock is made on the laptop before anything is created, so a misspelt package costs nothing. uv builds the
environment: on a machine where it is used, on nodes that share a disk once for all of them.
"""

from __future__ import annotations

import json
import os
import re
import secrets

from clusterctl.api import (
    Cluster,
    Facet,
    Node,
    Order,
    Plan,
    Plugin,
    PluginError,
    Request,
    as_user,
    hookimpl,
    installed,
    locks,
    node_program,
    notes,
    render,
    requirements,
    run_program,
    run_reported,
)

from .kept import KeptLocks
from .options import Options

_KEEP = "clusterctl.on_node.system.keep_environment"
_COMPILE_AFTER_S = 15
"""By then the engines are up, which have better uses for the processor."""


class Packages(Plugin[Options]):
    """Installs what all plugins ask for, at the same versions on every node."""

    waits_for_master = False
    on_every_cluster = True
    order = Order.PACKAGES

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self._lock = ""
        self._grown_from = ""
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
        wanted.wanted += requirements.whole((*options.packages, *options.added))
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
        kept = KeptLocks(cluster, self.index, max_age_h=self.options.lock_max_age)
        self._lock, self._grown_from = kept.choose(plan.request.pip)
        local = locks.local_lines(self._lock) if plan.provider != "local" else []
        if local:
            raise PluginError(
                f"only this computer has: {', '.join(local)}", remedy="put it into an index, or a wheelhouse"
            )
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
            grown_from=self._grown_from if not compiled else "",
            index=self.index,
            sync=" ".join(self._sync_arguments()),
            compile=compiled,
            compile_after_s=_COMPILE_AFTER_S,
            uv=locks.uv_version(),
            build=node_program("clusterctl.on_node.system.build_environment", self._build_values(node)),
            look=node_program(_KEEP, {"act": "look", "command": self._command}),
            seal=node_program(_KEEP, {"act": "seal"}),
            grow=node_program("clusterctl.on_node.system.grow_environment", {}),
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
            "grown_from": self._grown_from,
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


def _is_place(link: str) -> bool:
    return re.match(r"https?://|/", link) is not None
