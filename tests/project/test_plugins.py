"""Bundled plugins have no privilege: the core names none of them but where it speaks of the product that they make."""

from __future__ import annotations

import ast
import re
from importlib.metadata import entry_points
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMES = sorted(
    entry.name for entry in entry_points(group="clusterctl.plugins") if entry.value.startswith("clusterctl_plugins.")
)
WORDS = {"base", "packages", "spot", "users", "volumes"}
"""Names that are words of the field, too: only a text that is nothing else counts."""
QUOTED = rf"""["'}}](?:{"|".join(WORDS)})["'{{]"""

ALLOWED = {
    "config/cluster_section.py": ({"ipcluster"}, "the example of an option"),
    "config/draft.py": ({"ipcluster"}, "the template without a config file"),
    "config/example.py": ({"ipcluster"}, "the template of the file that `config init` writes"),
    "config/starcluster.py": (
        {"aptpackages", "dask", "ipcluster", "ipclusterrestart", "ipclusterstop", "mpi", "packages", "users"},
        "StarCluster's class paths and options, and what stands for them here",
    ),
    "cli/commands.py": ({"volumes"}, "a word that a user may try for `listvolumes`"),
    "operations/doctor/nodes.py": ({"packages"}, "whose files are read, and what makes them anew"),
    "cli/nodes/packages.py": ({"packages"}, "a key of the answer"),
    "wiring/context.py": ({"packages"}, "the option that `install` sets"),
    "operations/sending/asking.py": ({"ipcluster"}, "what a cluster without engines lacks"),
    "operations/nodes/access.py": ({"ipcluster"}, "how a user of `notebook` gets one"),
    "operations/selftest/run.py": ({"ipcluster", "volumes"}, "the cluster that is tried; VOLUMES is an option"),
    "operations/selftest/checks.py": ({"ipclusterrestart"}, "what of that cluster is tried"),
    "config/loading.py": ({"ipcluster"}, "what a template without engines lacks"),
    "hub/questions.py": (
        {"ipcluster"},
        "a script's name: what every plugin may ask the controller",
    ),
    "hub/cancelling.py": (
        {"ipcluster", "ipclusterrestart"},
        "a script's name; what to type where a controller cannot",
    ),
    "cli/nodes/cancel.py": ({"ipclusterrestart"}, "what to type where engines do not answer"),
    "wiring/client.py": ({"dask", "ipcluster"}, "the name of Dask's connection; what a cluster without engines lacks"),
    "clients/here.py": ({"dask"}, "the folder of a node's Dask"),
    "compute/learning/dask.py": ({"dask"}, "what a cluster without Dask lacks, and what to install"),
    "compute/together/program.py": ({"mpi"}, "the name of a module that engines get"),
    "config/references.py": ({"volumes"}, "an option"),
    "config/provider_options.py": ({"volumes"}, "an option"),
    "cli/setup/image.py": ({"base"}, "a key of the answer"),
    "providers/ec2/account/inventory.py": ({"volumes"}, "disks of an account"),
    "providers/ec2/launch/userdata.py": ({"users"}, "a key of cloud-config"),
}
MARKETS = (
    "cli/clusters/members.py",
    "cli/nodes/run.py",
    "cli/nodes/placing.py",
    "config/cluster_section.py",
    "model.py",
    "providers/",
)
"""Where `spot` is a market of EC2."""


def named_in(path):
    """The plugins that a module names in a text which is no docstring."""
    source = path.read_text(encoding="utf-8")
    if not any(name in source for name in set(NAMES) - WORDS) and not re.search(QUOTED, source):
        return set()  # not parsed: that is what takes long
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]
    plain = set(NAMES) - WORDS
    words = {word for text in texts for word in re.findall(r"[a-z]+", text)}
    return {text for text in texts if text in WORDS} | (plain & words)


def test_the_core_names_a_plugin_only_where_a_reason_is_given():
    named = {}
    for path in sorted((ROOT / "clusterctl").rglob("*.py")):
        name = path.relative_to(ROOT / "clusterctl").as_posix()
        if not name.startswith("on_node/"):  # what plugins send
            named[name] = named_in(path) - ({"spot"} if name.startswith(MARKETS) else set())
    assert {name: plugins for name, plugins in named.items() if plugins} == {
        name: allowed for name, (allowed, _) in ALLOWED.items()
    }


def test_a_name_is_seen(tmp_path):
    assert {"base", "ipcluster", "nfs"} <= set(NAMES)
    (tmp_path / "one.py").write_text('"""Of nfs."""\nA = "nfs: mount"\nB = "packages"\nC = "many packages"\n')
    assert named_in(tmp_path / "one.py") == {"nfs", "packages"}
