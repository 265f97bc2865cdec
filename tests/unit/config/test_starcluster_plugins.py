"""A plugin of the user's own for StarCluster: the message says what it is, where it was found and what to do."""

import sys

import pytest

from clusterctl.config import loading
from clusterctl.errors import ConfigError
from clusterctl.plugin.loader import find_plugin_class

THEIRS = {
    "imports it": "from starcluster.clustersetup import ClusterSetup\nclass P(ClusterSetup): pass\n",
    "imports it by name": "import starcluster.clustersetup as c\nclass P(c.ClusterSetup): pass\n",
    "is Python 2": "from starcluster.logger import log\nclass P:\n    def run(self):\n        print 'installing'\n",
    "imports it late": "class P:\n    def run(self, nodes, master, *more):\n        import starcluster\n",
    "imports it beside others": "import os, starcluster\nclass P: pass\n",
    "is half ported": "import starcluster\nclass P:\n    def clusterctl_join(self, cluster, node): pass\n",
    "guards its import": "try:\n    import starcluster\nexcept ImportError:\n    pass\nclass P: pass\n",
    "does not import it": "class P:\n    def run(self, nodes, master, user, user_shell, volumes): pass\n",
    "has other methods": "class P:\n    def on_add_node(self, node, nodes, master, user, user_shell, volumes): pass\n",
}
OURS = (
    "from clusterctl.api import hookimpl\nclass P:\n    @hookimpl\n    def clusterctl_join(self, cluster, node): pass\n"
)


@pytest.fixture
def home(tmp_path, monkeypatch):
    home = tmp_path / "home"
    (home / ".starcluster" / "plugins").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    yield home
    for name in [name for name in sys.modules if name.startswith(("clusterctl_plugin_", "rstudio"))]:
        del sys.modules[name]


def told(tmp_path, setup_class):
    file = tmp_path / "config"
    file.write_text(f"[plugin mine]\nSETUP_CLASS = {setup_class}\n[cluster a]\nPLUGINS = mine\n")
    with pytest.raises(ConfigError) as caught:
        loading.read_config(file, environ={}, find_plugin=find_plugin_class)
    (problem,) = caught.value.problems
    return problem.removeprefix(f"{file}: [plugin mine] SETUP_CLASS: ")


@pytest.mark.parametrize("what", THEIRS)
@pytest.mark.parametrize(
    ("place", "setup_class"),
    [
        ("home/.starcluster/plugins/rstudio.py", "rstudio.P"),
        ("home/.starcluster/plugins/rstudio/__init__.py", "rstudio.P"),
        ("home/.starcluster/plugins/rstudio/sub.py", "rstudio.sub.P"),
        ("home/.starcluster/plugins/rstudio.py", "rstudio:P"),
        ("home/rstudio.py", "~/rstudio.py:P"),
        ("rstudio.py", "rstudio.py:P"),
        ("plugins/rstudio.py", "rstudio.P"),
        ("path/rstudio.py", "rstudio.P"),
        ("path/rstudio/sub.py", "rstudio.sub.P"),
    ],
)
def test_one_for_starcluster_is_told_so_wherever_it_is(tmp_path, home, monkeypatch, what, place, setup_class):
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(THEIRS[what])
    if place.startswith("path/rstudio/"):
        (file.parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "path")
    message = told(tmp_path, setup_class)
    assert message.startswith(
        f"{setup_class} is a plugin for StarCluster (found in {file}) and cannot run here; port it"
    )
    assert "docs/howto/starcluster.md" in message


def test_whatever_lies_in_starclusters_folder_is_for_it(tmp_path, home):
    (home / ".starcluster" / "plugins" / "rstudio.py").write_text("class P: pass\n")
    assert "is a plugin for StarCluster" in told(tmp_path, "rstudio.P")


def test_one_that_is_ported_and_still_lies_there_is_named_by_its_file(tmp_path, home):
    file = home / ".starcluster" / "plugins" / "rstudio.py"
    file.write_text(OURS)
    assert told(tmp_path, "rstudio.P").endswith(f"write SETUP_CLASS = {file}:P")
    config = tmp_path / "config"
    config.write_text(f"[plugin mine]\nSETUP_CLASS = {file}:P\n[cluster a]\nPLUGINS = mine\n")
    assert loading.read_config(config, environ={}, find_plugin=find_plugin_class).plugins


def test_one_that_is_nowhere_says_where_was_looked_and_what_it_may_be(tmp_path, home):
    message = told(tmp_path, "rstudio.RInstaller")
    assert message.startswith(f"there is no Python module rstudio here, nor in {home}/.starcluster/plugins; ")
    assert "SETUP_CLASS = /path/to/rstudio.py:RInstaller" in message
    assert "If it was written for StarCluster, port it" in message


@pytest.mark.parametrize(
    ("text", "setup_class", "words"),
    [
        ("import nothing_of_this_name\n" + OURS, "mine.py:P", "No module named 'nothing_of_this_name'"),
        (OURS, "mine.py:Q", "has no attribute 'Q'"),
        ("class P: pass\n", "mine.py:P", "is not a plugin class"),
        ("1 +\n", "mine.py:P", "SyntaxError"),
        (OURS, "gone.py:P", "FileNotFoundError"),
        (OURS, "json:P", "has no attribute 'P'"),
    ],
)
def test_one_of_ours_that_is_broken_is_not_called_starclusters(tmp_path, home, text, setup_class, words):
    (tmp_path / "mine.py").write_text(text)
    message = told(tmp_path, setup_class)
    assert words in message
    assert "StarCluster" not in message
