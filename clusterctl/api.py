"""Everything that a plugin may import from clusterctl."""

from __future__ import annotations

from clusterctl import hub, notes
from clusterctl.clock import Deadline, Stopwatch, pause, utc_now
from clusterctl.cluster_nodes import Cluster
from clusterctl.environment import installed, requirements
from clusterctl.environment import lock as locks
from clusterctl.errors import ClusterctlError, PluginError, RemoteError
from clusterctl.files import write_atomically
from clusterctl.model import Connection, Facet, Layout, Machines, Market, Node, Plan, Request, StatusRow, Volume
from clusterctl.node import services
from clusterctl.node.ending import runners_pattern
from clusterctl.node.library import library_version, put_library
from clusterctl.node.programs import node_program, run_program
from clusterctl.node.render import render, render_text
from clusterctl.node.run_as import as_user, own_folder
from clusterctl.node.scripts import Report, run_reported
from clusterctl.notes import Note
from clusterctl.options import CommaList, ExpandedPath, Field, Flag, PathList, SecretText, Section
from clusterctl.plugin.base import NoOptions, Order, Plugin
from clusterctl.plugin.hookspecs import hookimpl
from clusterctl.remote.base import Remote, Result
from clusterctl.secret import Secret
from clusterctl.service import Busy, Probe, Service, ServiceHealth, ServiceState
from clusterctl.text import plural

__all__ = [
    "Busy",
    "Cluster",
    "ClusterctlError",
    "CommaList",
    "Connection",
    "Deadline",
    "ExpandedPath",
    "Facet",
    "Field",
    "Flag",
    "Layout",
    "Machines",
    "Market",
    "NoOptions",
    "Node",
    "Note",
    "Order",
    "PathList",
    "Plan",
    "Plugin",
    "PluginError",
    "Probe",
    "Remote",
    "RemoteError",
    "Report",
    "Request",
    "Result",
    "Secret",
    "SecretText",
    "Section",
    "Service",
    "ServiceHealth",
    "ServiceState",
    "StatusRow",
    "Stopwatch",
    "Volume",
    "as_user",
    "hookimpl",
    "hub",
    "installed",
    "library_version",
    "locks",
    "node_program",
    "notes",
    "own_folder",
    "pause",
    "plural",
    "put_library",
    "render",
    "render_text",
    "requirements",
    "run_program",
    "run_reported",
    "runners_pattern",
    "services",
    "utc_now",
    "write_atomically",
]
