"""The table of commands: where each is defined, what it does, and its other names. It imports none of them."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True)
class CommandEntry:
    """One command of the table."""

    module: str
    """The module below `clusterctl.cli`."""
    attribute: str
    """The name of the command in it."""
    summary: str
    """The first sentence of the command's help, for `clusterctl --help` and for completion."""
    aliases: tuple[str, ...] = ()
    """StarCluster's other names for it."""


COMMANDS: dict[str, CommandEntry] = {
    "start": CommandEntry("clusters.start", "start", "Bring a cluster up, or complete one that is half up."),
    "stop": CommandEntry(
        "clusters.lifecycle", "stop", "Power the nodes off and keep their disks; `start` brings all of it back."
    ),
    "restart": CommandEntry(
        "clusters.lifecycle",
        "restart",
        "Boot the nodes anew, or power them off and on again, and let them join.",
        ("reboot",),
    ),
    "terminate": CommandEntry("clusters.lifecycle", "terminate", "End the nodes and everything on them, for good."),
    "attach": CommandEntry(
        "clusters.attach", "attach", "Take a cluster over whose files are not on this computer, or not any more."
    ),
    "share": CommandEntry(
        "clusters.attach", "share", "Let another person's key in, so that they can attach the cluster."
    ),
    "addnode": CommandEntry("clusters.members", "addnode", "Let more nodes join.", ("an",)),
    "removenode": CommandEntry("clusters.members", "removenode", "Let workers leave, and end them.", ("rn",)),
    "resize": CommandEntry(
        "clusters.members", "resize", "Have so many nodes: let more join, or let the last ones leave."
    ),
    "watch": CommandEntry(
        "clusters.watch",
        "watch",
        "Keep a cluster whole: bring back nodes that are lost, and replace those that will be taken.",
        ("loadbalance",),
    ),
    "run": CommandEntry(
        "nodes.run",
        "run",
        "Run COMMAND on a node, with a copy of this folder's files; exits with its status.",
        ("run-job",),
    ),
    "jobs": CommandEntry("nodes.jobs", "jobs", "List the jobs of a cluster, the newest one last."),
    "job": CommandEntry("nodes.jobs", "job", "Show, follow, end or fetch one job, by its id or how that begins."),
    "listclusters": CommandEntry(
        "clusters.inspect", "listclusters", "List the clusters and their nodes.", ("list", "lc")
    ),
    "status": CommandEntry(
        "clusters.inspect",
        "status",
        "Show what every plugin sees of a cluster; exits with 1 if something is not as it should be.",
    ),
    "top": CommandEntry(
        "clusters.top",
        "top",
        "Show what the nodes, the engines, the queue, the maps and the jobs of a cluster do, and what it costs.",
    ),
    "logs": CommandEntry(
        "clusters.inspect",
        "logs",
        "Show the logs of the services on a node (default: the master), or what was run there.",
    ),
    "doctor": CommandEntry(
        "nodes.doctor",
        "doctor",
        "Check laptop, config, credentials, network, nodes and services, and say what to type.",
    ),
    "report": CommandEntry(
        "nodes.report",
        "report",
        "Pack logs, journal, options and versions into an archive for who helps, without secrets.",
    ),
    "runplugin": CommandEntry(
        "nodes.plugins", "runplugin", "Run one plugin on a cluster; without a name, on the one that is up.", ("rp",)
    ),
    "install": CommandEntry("nodes.packages", "install", "Add packages to a cluster that runs, on every node."),
    "plugins": CommandEntry("nodes.plugins", "plugins", "List the installed plugins and their options."),
    "sshmaster": CommandEntry(
        "nodes.access", "sshmaster", "Log in to the master, or run COMMAND there; exits with its status.", ("sm",)
    ),
    "sshnode": CommandEntry("nodes.access", "sshnode", "Log in to a node, or run COMMAND there.", ("sn",)),
    "exec": CommandEntry(
        "nodes.access",
        "exec_",
        "Run COMMAND on all nodes, side by side; each line of output begins with the node's name.",
    ),
    "allow-me": CommandEntry(
        "nodes.firewall",
        "allow_me",
        "Let this computer log in from the address that it has now, and no more from those it had.",
    ),
    "ssh-config": CommandEntry(
        "nodes.ssh_config", "ssh_config", "Print a config file for `ssh`, rsync and VS Code with a host for each node."
    ),
    "put": CommandEntry("nodes.access", "put", "Copy files and folders to a node."),
    "get": CommandEntry("nodes.access", "get", "Copy files and folders from a node."),
    "sync": CommandEntry("clusters.sync", "sync", "Send what has changed in FOLDER to a node."),
    "tunnel": CommandEntry("nodes.client", "tunnel", "Bring the tunnel to a cluster back."),
    "connect": CommandEntry(
        "nodes.client",
        "connect",
        "Open an IPython shell with `client`, `view` and the %px magics ready.",
        ("shell", "sh"),
    ),
    "cancel": CommandEntry(
        "nodes.cancel", "cancel", "End what runs and what waits at the engines, of everybody or of one client."
    ),
    "keep": CommandEntry(
        "nodes.keep",
        "keep",
        "Have a cluster stay for TIME from now, such as 2h or 30m, whatever IDLE_STOP and LIFETIME say.",
    ),
    "notebook": CommandEntry("nodes.client", "notebook", "Print the URL of the cluster's notebook."),
    "image": CommandEntry("setup.image", "image", "Make, list and remove the images that nodes start from."),
    "gc": CommandEntry(
        "aws.gc",
        "gc",
        "Find what clusterctl made in any region of the AWS account and no cluster needs, and end it after a yes.",
    ),
    "listinstances": CommandEntry(
        "aws.instances", "listinstances", "List the EC2 instances of a region, of clusters and others.", ("lsi",)
    ),
    "listspots": CommandEntry(
        "aws.instances",
        "listspots",
        "List the requests for spot instances of a region, of clusters and others.",
    ),
    "cost": CommandEntry(
        "aws.cost", "cost", "Show what clusters on EC2 have cost, run by run, with nodes and clusters that have ended."
    ),
    "spothistory": CommandEntry(
        "aws.spothistory", "spothistory", "Show how the spot prices of instance types went, zone by zone.", ("shi",)
    ),
    "showconsole": CommandEntry(
        "aws.instances",
        "showconsole",
        "Show what an EC2 instance, or a NODE of a cluster (default: the master), has written to its console.",
        ("sc",),
    ),
    "listregions": CommandEntry(
        "aws.catalog", "listregions", "List the AWS regions that the account can use.", ("lr",)
    ),
    "listzones": CommandEntry("aws.catalog", "listzones", "List the availability zones of a region.", ("lz",)),
    "listimages": CommandEntry(
        "aws.catalog",
        "listimages",
        "List the images for NODE_IMAGE_ID: the baked ones, and the newest of each system that has a name.",
        ("li",),
    ),
    "listkeypairs": CommandEntry("aws.keypairs", "listkeypairs", "List the EC2 key pairs of a region.", ("lk",)),
    "createkey": CommandEntry(
        "aws.keypairs", "createkey", "Make an EC2 key pair NAME, for instances of your own.", ("ck",)
    ),
    "removekey": CommandEntry("aws.keypairs", "removekey", "Delete EC2 key pairs.", ("rk",)),
    "listvolumes": CommandEntry("aws.volumes", "listvolumes", "List the EBS volumes of a region.", ("lv",)),
    "createvolume": CommandEntry("aws.volumes", "createvolume", "Make a blank EBS volume of SIZE GB in ZONE.", ("cv",)),
    "resizevolume": CommandEntry(
        "aws.volumes", "resizevolume", "Let an EBS volume grow to SIZE GB where it is, while it is used.", ("res",)
    ),
    "removevolume": CommandEntry("aws.volumes", "removevolume", "Delete EBS volumes and all that is on them.", ("rv",)),
    "selftest": CommandEntry("aws.selftest", "selftest", "Check that what is promised holds where your nodes are."),
    "config": CommandEntry("setup.config", "config", "Write, check or show the config file."),
    "completion": CommandEntry("setup.completion", "completion", "Print the completion script of a shell."),
}
"""The commands by name, in the order of a cluster's life."""


def entry_named(name: str) -> CommandEntry | None:
    """Return the command with this name, which may be StarCluster's name for it; None if there is none."""
    return next((entry for own, entry in COMMANDS.items() if name in {own, *entry.aliases}), None)


def all_names() -> list[str]:
    """Return every name that a command answers to."""
    return [name for own, entry in COMMANDS.items() for name in (own, *entry.aliases)]


_OTHER_WORDS: dict[str, tuple[str, ...]] = {
    "adopt": ("attach",),
    "apply": ("start",),
    "boot": ("start",),
    "cat": ("get", "logs"),
    "check": ("doctor", "config check", "status"),
    "close": ("tunnel --close", "stop", "terminate"),
    "console": ("showconsole", "sshmaster"),
    "copy": ("put", "get", "sync"),
    "cp": ("put", "get"),
    "create": ("start", "createvolume", "createkey"),
    "delete": ("terminate", "removenode"),
    "describe": ("status",),
    "diagnose": ("doctor",),
    "destroy": ("terminate",),
    "down": ("stop", "terminate"),
    "download": ("get",),
    "fetch": ("job fetch", "get"),
    "end": ("terminate",),
    "firewall": ("allow-me",),
    "grow": ("addnode",),
    "halt": ("stop",),
    "health": ("status", "doctor"),
    "info": ("status",),
    "init": ("config init",),
    "import": ("attach",),
    "instances": ("listinstances",),
    "invite": ("share",),
    "jupyter": ("notebook",),
    "keys": ("listkeypairs",),
    "kill": ("terminate",),
    "lab": ("notebook",),
    "launch": ("start",),
    "log": ("logs",),
    "login": ("sshmaster",),
    "ls": ("listclusters", "listspots"),
    "nodes": ("listclusters", "status"),
    "open": ("notebook", "connect"),
    "pause": ("stop",),
    "pip": ("install",),
    "plan": ("start --dry-run",),
    "ps": ("listclusters", "status"),
    "pull": ("get",),
    "push": ("put",),
    "python": ("connect",),
    "quit": ("stop", "terminate"),
    "remove": ("terminate", "removenode"),
    "resume": ("start",),
    "rsync": ("sync",),
    "recover": ("attach", "start"),
    "rm": ("terminate", "removenode"),
    "qsub": ("run",),
    "scale": ("resize", "addnode", "removenode"),
    "scp": ("put", "get"),
    "show": ("status",),
    "shrink": ("removenode",),
    "shutdown": ("stop", "terminate"),
    "ssh": ("sshmaster", "sshnode"),
    "submit": ("run",),
    "suspend": ("stop",),
    "test": ("config check", "selftest"),
    "up": ("start",),
    "upload": ("put",),
    "validate": ("config check",),
    "volumes": ("listvolumes",),
}
"""What other tools, or plain English, call our commands. `ls` was StarCluster's short name of `listspots`."""


def suggest_command(word: str) -> str:
    """Return a sentence with the commands that a word may mean; empty if nothing is near."""
    meant = _OTHER_WORDS.get(word.lower(), ())
    if not meant:
        # `lsit` is nearer to `lsi` but means `list`: a user who types four letters does not mean a short name.
        words = [name for name in all_names() if len(name) > 3]
        near = get_close_matches(word.lower(), [*words, *(other for other in _OTHER_WORDS if len(other) > 3)], n=1)
        meant = tuple(name for other in near for name in _OTHER_WORDS.get(other, (other,)))
    return f" Did you mean {' or '.join(map(repr, meant))}?" if meant else ""
