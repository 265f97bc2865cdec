"""Plugins that implement every hook and write down each call."""

from __future__ import annotations

from clusterctl.api import Connection, Field, Request, Section, StatusRow, hookimpl


class Options(Section):
    speed: int = Field(1, description="how fast")


def recording(log, **faults):
    """A plugin that implements every hook, writes down each call, and raises where it is told to."""

    def said(name, *what):
        log.append((name, *what))

    def plugin(name):
        class Recording:
            def __init__(self, options):
                self.options = options

            @staticmethod
            def clusterctl_settings():
                said(name, "settings")
                return Options

            @hookimpl
            def clusterctl_request(self):
                said(name, "request")
                return Request(pip=(f"{name}-package",))

            @hookimpl
            def clusterctl_prepare(self, cluster, plan):
                said(name, "prepare", *(spec.alias for spec in plan.nodes))
                fail("prepare")

            @hookimpl
            def clusterctl_join(self, cluster, node):
                said(name, "join", node.alias)
                fail(f"join {node.alias}")

            @hookimpl
            def clusterctl_members(self, cluster):
                said(name, "members", *(node.alias for node in cluster.nodes if node.reachable))
                fail("members")

            @hookimpl
            def clusterctl_connect(self, cluster):
                said(name, "connect")
                fail("connect")
                return Connection(name, host="127.0.0.1", ports={"web": 80}, document={"who": name})

            @hookimpl
            def clusterctl_leave(self, cluster, node):
                said(name, "leave", node.alias, *([] if node.reachable else ["unreachable"]))
                fail(f"leave {node.alias}")

            @hookimpl
            def clusterctl_undo(self, cluster, node):
                said(name, "undo", node.alias)
                fail(f"undo {node.alias}")

            @hookimpl
            def clusterctl_run(self, cluster):
                said(name, "run")

            @hookimpl
            def clusterctl_status(self, cluster):
                said(name, "status")
                fail("status")
                return [StatusRow(node.alias, name, "fine") for node in cluster.nodes]

        def fail(moment):
            fault = faults.get(name, {}).get(moment)
            if fault:
                raise fault

        Recording.clusterctl_settings = staticmethod(hookimpl(Recording.clusterctl_settings))
        return Recording

    return {name: plugin(name) for name in ("a", "b")}


def of(log, moment):
    return [entry for entry in log if entry[1] == moment]


class KilledError(BaseException):
    """Nothing of the program runs after it, as after SIGKILL: no `except` of ours is for it."""
