"""JupyterLab on the master: its service, its files, and the way to it."""

from __future__ import annotations

import json
from importlib.resources import files as resources
from typing import TYPE_CHECKING, Any

from clusterctl.api import Cluster, Connection, Facet, Node, Probe, Secret, Service, hub, node_program, notes

from .daemons import ON_NODE, process_environment, python_command

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import PurePosixPath

    from .options import Options


_PAGE = {"disabledExtensions": {"ipyparallel-labextension": True}}
"""ipyparallel's panel starts clusters of its own: it shows the one that runs as stopped."""
_SETTINGS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
"""What users can change. Without it JupyterLab asks each of them whether it may look for news, though it must not."""


def notebook_services(cluster: Cluster, node: Node, options: Options) -> list[Service]:
    """Return the notebook server as a service; nothing if it is not wanted."""
    if not options.enable_notebook:
        return []
    environment = cluster.recall(notes.LOADED) or cluster.recall(notes.ENVIRONMENT)
    return [
        Service(
            name="notebook",
            command=_notebook_command(node),
            user=cluster.user,
            home=node.layout.home,
            directory=node.layout.home,
            whole_group=True,
            environment={**process_environment(node), **cluster.request.environment},
            version=f"{environment}",
            probe=Probe(
                "clusterctl.on_node.system.probe_http",
                {"part": "notebook", "file": hub.profile(node) / "security" / "notebook.json", "path": "/api"},
            ),
        )
    ]


def notebook_files(node: Node, options: Options) -> dict[str, object] | None:
    """Return the files that it needs, for ipcluster_master.sh.j2."""
    if not options.enable_notebook:
        return None
    return {
        "folder": _notebook_folder(node, options),
        "startup": hub.profile(node).parent / "profile_default" / "startup",
        "startup_code": _read_source("notebook_startup.py"),
        "lab": _lab_folder(node),
        "page": json.dumps(_PAGE),
        "settings": json.dumps(_SETTINGS),
        "terminal": _terminal_file(node),
        "terminal_code": node_program(
            "clusterctl.on_node.system.open_terminal",
            {
                "programs": [str(folder) for folder in node.layout.programs],
                "here": f"({node.cluster} {node.alias}) ",
                "login": Facet.MACHINE in node.facets,
            },
        ),
    }


def notebook_config(node: Node, options: Options) -> dict[str, object] | None:
    """Return what the server is told besides its port and token, which are chosen on the node, and in which file."""
    if not options.enable_notebook:
        return None
    root = Facet.MACHINE not in node.facets and node.user == "root"
    return {
        "config": _notebook_file(node),
        "server": {
            "root_dir": _notebook_folder(node, options),
            "allow_root": root,
            "terminado_settings": {"shell_command": [*python_command(node, _terminal_file(node))]},
            "jpserver_extensions": {"ipyparallel": False},
        },
        "more": {
            "LabApp": {
                "app_settings_dir": _lab_folder(node),
                "news_url": None,
                "check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
            }
        },
    }


def notebook_connection(notebook: Mapping[str, Any]) -> list[Connection]:
    """Return how the laptop reaches it; nothing if none was set up."""
    if not notebook or notebook.get("foreign"):  # who opens the URL gives the token to whoever listens
        return []
    url = Secret("http://127.0.0.1:{notebook}/lab?token=" + notebook["token"])
    return [Connection("notebook", host="127.0.0.1", ports={"notebook": notebook["port"]}, url=url)]


def _notebook_folder(node: Node, options: Options) -> PurePosixPath:
    return node.layout.home / options.notebook_directory


def _notebook_file(node: Node) -> PurePosixPath:
    """The notebook server's configuration."""
    return hub.profile(node).parent / "jupyter_server_config.json"


def _lab_folder(node: Node) -> PurePosixPath:
    """JupyterLab's own settings."""
    return hub.profile(node).parent / "lab"


def _terminal_file(node: Node) -> PurePosixPath:
    """What opens the shell of a terminal."""
    return hub.profile(node) / "terminal.py"


def _read_source(name: str) -> str:
    """A file that goes to a node as it is."""
    return resources(ON_NODE).joinpath(name).read_text(encoding="utf-8")


def _notebook_command(node: Node) -> list[str]:
    # Jupyter reads the .json and the .py file of the name that it is given, whichever of both that says. The .py is in
    # the commands of 0.1, whose notebooks would else be restarted, with their kernels, when their master joins again.
    return [*python_command(node, "-m", "jupyterlab"), f"--config={_notebook_file(node).with_suffix('.py')}"]
