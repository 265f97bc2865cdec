"""The commands `tunnel`, `connect` and `notebook`: connections from this computer to the cluster's services."""

from __future__ import annotations

import click

import clusterctl
from clusterctl.cli.arguments import json_option, optional_cluster
from clusterctl.cli.output import connections_json, show_connections, show_json
from clusterctl.cli.terminal import echo
from clusterctl.operations.nodes.access import open_notebook, renew_tunnel
from clusterctl.wiring.clusters import cluster_folder


@click.command()
@optional_cluster
@click.option("--close", is_flag=True, help="End the tunnel.")
@json_option
def tunnel(name: str | None, *, close: bool, as_json: bool) -> None:
    """Bring the tunnel to a cluster back. `start` leaves it up, and it reconnects by itself."""
    state = renew_tunnel(cluster_folder(name), close=close)
    if as_json:
        ports = [{"local_port": f.local_port, "host": f.host, "port": f.port} for f in state.forwards]
        answer = {"name": state.cluster, "needed": bool(state.forwards), "up": state.up, "forwards": ports}
        show_json({**answer, "connections": connections_json(state.published)})
        return
    if not state.forwards:
        echo(f">>> {state.cluster} needs no tunnel: its ports are on this computer")
    else:
        echo(f">>> the tunnel of {state.cluster} is {'up' if state.up else 'down'}: {len(state.forwards)} ports")
    show_connections(state.published)


@click.command()
@optional_cluster
@click.option("-e", "--execute", metavar="CODE", help="Run this with `client` and `view` ready, and exit.")
def connect(name: str | None, execute: str | None) -> None:
    """Open an IPython shell with `client`, `view` and the %px magics ready."""
    client = clusterctl.connect(name)
    names = {"client": client, "view": client[:], "lview": client.load_balanced_view()}
    if execute is not None:
        exec(compile(execute, "<connect>", "exec"), names)  # noqa: S102  the user's own line, in the user's own process
        return
    from IPython import start_ipython
    from traitlets.config import Config

    config = Config()
    config.TerminalIPythonApp.display_banner = False
    config.InteractiveShellApp.exec_lines = ["client.activate()"]
    echo(f">>> client, view ({len(client)} engines), lview and %px are ready")
    start_ipython(argv=[], user_ns=names, config=config)


@click.command()
@optional_cluster
@click.option("--open", "open_", is_flag=True, help="Open it in the web browser.")
@json_option
def notebook(name: str | None, *, open_: bool, as_json: bool) -> None:
    """Print the URL of the cluster's notebook."""
    folder = cluster_folder(name)
    url = open_notebook(folder)
    if as_json:
        show_json({"name": folder.name, "url": url})
    else:
        echo(url.reveal())
    if open_:
        click.launch(url.reveal())
