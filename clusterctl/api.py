"""The whole of what a plugin may import from clusterctl."""

from __future__ import annotations

from clusterctl import hub, installed, locks, requirements, services
from clusterctl.accounts import as_user, own_folder
from clusterctl.cluster import Cluster
from clusterctl.errors import ClusterctlError, PluginError, RemoteError
from clusterctl.hookspecs import hookimpl
from clusterctl.model import (
    Connection,
    Facet,
    Layout,
    Machines,
    Node,
    Plan,
    Request,
    Service,
    ServiceState,
    StatusRow,
    Volume,
)
from clusterctl.remote import Remote, Result
from clusterctl.render import render, render_text
from clusterctl.reports import Report, run_reported
from clusterctl.secret import Secret
from clusterctl.sections import CommaList, ExpandedPath, Field, Flag, PathList, SecretText, Section
from clusterctl.words import plural

__all__ = [
    "Cluster",
    "ClusterctlError",
    "CommaList",
    "Connection",
    "ExpandedPath",
    "Facet",
    "Field",
    "Flag",
    "Layout",
    "Machines",
    "Node",
    "PathList",
    "Plan",
    "PluginError",
    "Remote",
    "RemoteError",
    "Report",
    "Request",
    "Result",
    "Secret",
    "SecretText",
    "Section",
    "Service",
    "ServiceState",
    "StatusRow",
    "Volume",
    "as_user",
    "hookimpl",
    "hub",
    "installed",
    "locks",
    "own_folder",
    "plural",
    "render",
    "render_text",
    "requirements",
    "run_reported",
    "services",
]
