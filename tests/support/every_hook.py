"""A plugin that implements every hook: copy it, and delete what you do not need.

It runs a small web server on the master, whose page says who is in the cluster. In the config file:

    [plugin every_hook]
    setup_class = /path/to/every_hook.py:EveryHook
    title = Our cluster

    [cluster local]
    plugins = ipcluster, every_hook
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

# The whole of what a plugin may import from clusterctl. Nothing else is promised to stay as it is.
from clusterctl.api import (
    Busy,
    Cluster,
    Connection,
    Field,
    Node,
    Plan,
    Plugin,
    PluginError,
    Probe,
    Request,
    Secret,
    Section,
    Service,
    StatusRow,
    hookimpl,
    render_text,
    services,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePosixPath

# One script, one round trip: a join should never be a chatty sequence of commands. A POSIX shell runs it, and it may
# run twice. `quote` makes one word of anything. A plugin that is a package keeps its templates in files.
JOIN_MASTER = """\
set -eu
mkdir -p {{ site | quote }}
"""
JOIN_WORKER = """\
set -eu
mkdir -p {{ state | quote }}
echo {{ master | quote }} > {{ state | quote }}/every_hook_master
"""
UNDO = """\
set -eu
rm -rf {{ site | quote }} {{ state | quote }}/every_hook_master
"""
WRITE_PAGE = """\
set -eu
cat > {{ site | quote }}/index.html <<'EVERY_HOOK_EOF'
<h1>{{ title | e }}</h1>
{% for node in nodes %}
<p>{{ node.alias }}: {{ node.cores }} cores</p>
{% endfor %}
EVERY_HOOK_EOF
"""


class Options(Section):
    """The options of `[plugin every_hook]`: one field an option, checked before anything is created."""

    title: str = Field("Who is here", description="heading of the page")  # with a default: may be left out
    port: int = Field(8900, ge=1024, le=65535, description="port of the page, on the master's loopback")


# The brackets name the model of its options, which are in `self.options`; without brackets a plugin has none.
# One object is made for a whole command. What must outlive the command goes into `cluster.remember`.
class EveryHook(Plugin[Options]):
    """A web page that says who is in the cluster."""

    # What else a plugin may declare, with its default: needs, instead, replaces, on_every_cluster, order.
    waits_for_master = True

    @hookimpl
    def clusterctl_request(self) -> Request:
        """While planning: there are no nodes. What all plugins ask for is merged, and installed once, by `packages`."""
        return Request(pip=("tabulate",), files={"every_hook.txt": f"{self.options.title}\n"})

    @hookimpl
    def clusterctl_prepare(self, cluster: Cluster, plan: Plan) -> None:
        """Before anything is created, and costs money: the last moment to refuse."""
        if len(plan.nodes) > 1000:
            raise PluginError(
                f"a page of {len(plan.nodes)} nodes is no use to anybody", remedy="leave every_hook out of PLUGINS"
            )
        cluster.remember("every_hook_title", self.options.title)  # anything that JSON can say, and no secrets

    @hookimpl
    def clusterctl_bake(self, cluster: Cluster, node: Node) -> None:
        """`clusterctl image bake`: what every node has and no cluster changes becomes part of an image."""
        cluster.on(node).run_script("mkdir -p /usr/share/every_hook\n", name="every_hook: bake", sudo=True)

    @hookimpl
    def clusterctl_join(self, cluster: Cluster, node: Node) -> None:
        """A node joins: on the master first, then on each worker as it answers, side by side, in other threads."""
        if node.is_master:
            script = render_text(JOIN_MASTER, site=_site(node))
            script += services.ensure(node, [self._server(cluster, node)])  # by systemd or supervisord: not our affair
        else:
            script = render_text(JOIN_WORKER, state=node.layout.state, master=cluster.master.private_address)
        cluster.on(node).run_script(script, name="every_hook: join", sudo=True)

    @hookimpl
    def clusterctl_members(self, cluster: Cluster) -> None:
        """Once after nodes joined or left: write down again what depends on who is there."""
        there = [node for node in cluster.nodes if node.reachable]
        script = render_text(WRITE_PAGE, site=_site(cluster.master), title=self.options.title, nodes=there)
        cluster.on(cluster.master).run_script(script, name="every_hook: page", sudo=True)

    @hookimpl
    def clusterctl_connect(self, cluster: Cluster) -> Connection:
        """When enough have joined: wait until the service answers, and say how the laptop reaches it."""
        # `{web}` becomes the laptop's own port where a tunnel is needed. With `document`, a file is written too.
        url = Secret("http://127.0.0.1:{web}/")
        return Connection("every_hook", host="127.0.0.1", ports={"web": self.options.port}, url=url)

    @hookimpl
    def clusterctl_leave(self, cluster: Cluster, node: Node) -> None:
        """A node leaves, or is gone: stop, and tell others. The plugins are called in reversed order."""
        if cluster.ending:
            return  # all of it ends with its machines
        if node.is_master and node.reachable:
            cluster.on(node).run_script(services.stop(node, ["every_hook"]), name="every_hook: stop", sudo=True)

    @hookimpl
    def clusterctl_undo(self, cluster: Cluster, node: Node) -> None:
        """A node leaves whose machine stays, and can be reached: take off what the join put there. It may run twice."""
        script = render_text(UNDO, site=_site(node), state=node.layout.state)
        cluster.on(node).run_script(script, name="every_hook: undo", sudo=True)

    @hookimpl
    def clusterctl_run(self, cluster: Cluster) -> None:
        """`clusterctl runplugin every_hook`. Without this hook: the join, on every node."""
        cluster.say(f"Writing the page of {cluster.name} again")
        self.clusterctl_members(cluster)

    @hookimpl
    def clusterctl_busy(self, cluster: Cluster) -> Sequence[Busy]:
        """Say who still works, so that the cluster does not end for being idle: a program that the master asks."""
        draft = _site(cluster.master) / "draft.html"
        return [Busy("page", Path(__file__).with_name("busy_page.py"), {"draft": draft})]

    @hookimpl
    def clusterctl_status(self, cluster: Cluster) -> Sequence[StatusRow]:
        """`clusterctl status`: a row a node and fact."""
        master = cluster.master
        output = cluster.on(master).run_script(services.status(master), name="every_hook: status", sudo=True).stdout
        state = next((s for s in services.parse_status(output) if s.service == "every_hook"), None)
        if state is None:
            return [StatusRow(cluster.master.alias, "page", "is not set up", healthy=False)]
        return [StatusRow(cluster.master.alias, "page", state.detail, healthy=state.running)]

    def _server(self, cluster: Cluster, node: Node) -> Service:
        python = str(node.layout.env / "bin" / "python")
        port = str(self.options.port)
        command = [python, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(_site(node)), port]
        home = node.layout.home
        # What tells whether it works, by using it: the node asks every few seconds, and `status` and `start` do. This
        # one is for all that speak HTTP; one of your own is a module, such as Path(__file__).with_name("probe.py").
        probe = Probe("clusterctl.on_node.system.probe_http", {"part": "page", "port": self.options.port, "path": "/"})
        return Service("every_hook", command, directory=home, user=cluster.user, home=home, probe=probe)


def _site(node: Node) -> PurePosixPath:
    return node.layout.state / "every_hook"
