"""A config is judged by what a command needs. What ends or shrinks a cluster always undoes the whole of its work."""

from __future__ import annotations

import pytest

from ....support.sampling import rest

MINE = '''
import pathlib
from clusterctl.api import CommaList, ExpandedPath, SecretText, Section, hookimpl


class Options(Section):
    word: str = "none"
    token: SecretText | None = None


class Mine:
    """Notes every node that leaves."""

    def __init__(self, options):
        self.options = options

    @staticmethod
    @hookimpl
    def clusterctl_settings():
        return Options

    @hookimpl
    def clusterctl_join(self, cluster, node):
        pass

    @hookimpl
    def clusterctl_leave(self, cluster, node):
        with pathlib.Path(__file__).with_name("left").open("a") as file:
            file.write(f"{self.options.word} {node.alias}\\n")
'''
GOOD = """\
[global]
DEFAULT_TEMPLATE = small
[cluster small]
PROVIDER = local
CLUSTER_USER = me
PLUGINS = packages, mine
[cluster other]
EXTENDS = small
[plugin packages]
SETUP_CLASS = {folder}/offline.py:Offline
[plugin mine]
SETUP_CLASS = {folder}/mine.py:Mine
WORD = hello
TOKEN = hunter2
"""
UNUSED = """\
[cluster bad]
CLUSTER_SIZE = x
NONSENSE = 1
PLUGINS = nobodys
[permission web]
FROM_PORT = 80
[plugin ends]
SETUP_CLASS = {folder}/ends.py:Ends
[aws]
NONSENSE = 1
[webserver x]
[host h]
nonsense
"""
USED = {
    "a missing file": None,
    "an empty file": "",
    "no text": b"\xff\xfe\x00",
    "another template": "[cluster elsewhere]\nPROVIDER = local\n",
    "a value in the template": GOOD.replace("CLUSTER_USER = me", "CLUSTER_USER = me\nCLUSTER_SIZE = x"),
    "an option in the template": GOOD.replace("CLUSTER_USER = me", "CLUSTER_USER = me\nNONSENSE = 1"),
    "a line in the template": GOOD.replace("CLUSTER_USER = me", "CLUSTER_USER = me\nnonsense"),
    "the template twice": GOOD.replace("[cluster other]", "[cluster small]"),
    "its header": GOOD.replace("[cluster small]", "[cluster small"),
    "a parent that is missing": GOOD.replace("CLUSTER_USER = me", "CLUSTER_USER = me\nEXTENDS = nobody"),
    "a volume that is named": GOOD.replace("CLUSTER_USER = me", "CLUSTER_USER = me\nVOLUMES = v"),
    "an included file": GOOD.replace("DEFAULT_TEMPLATE", "INCLUDE = gone.ini\nDEFAULT_TEMPLATE"),
    "a line before all sections": "nonsense\n" + GOOD,
    "an option of [global]": GOOD.replace("DEFAULT_TEMPLATE", "NONSENSE = 1\nDEFAULT_TEMPLATE"),
    "an option of a plugin": GOOD + "NONSENSE = 1\n",
    "a misspelt header of a plugin that acts": GOOD.replace("[plugin packages]", "[plugn packages]"),
    "a plugin that nobody has": GOOD.replace("PLUGINS = packages", "PLUGINS = nobodys, packages"),
}
OFTEN = ("a missing file", "no text", "an included file", "a value in the template", "its header")
OFTEN += ("a parent that is missing", "an option of a plugin", "a plugin that nobody has")
"""Each of a kind: a file, a template, what it names."""
STRICT = (["start", "lab"], ["addnode", "lab"], ["restart", "--yes", "lab"], ["runplugin", "mine", "lab"])


@pytest.fixture
def folder(laptop, tmp_path):
    """The folder of the plugins; `left` in it has the nodes that left."""
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "ends.py").write_text("raise SystemExit(3)\n")
    return tmp_path


@pytest.fixture
def up(run, laptop, folder):
    laptop.config.write_text(GOOD.replace("{folder}", str(folder)))
    said = run("start", "lab")
    assert said.status == 0, said.err
    return laptop


def left(folder):
    file = folder / "left"
    return sorted(file.read_text().splitlines()) if file.exists() else []


def test_what_the_template_does_not_use_is_a_warning_and_an_error_of_config_check(run, up, folder):
    up.config.write_text((GOOD + UNUSED).replace("{folder}", str(folder)))
    checked = run("config", "check")
    assert checked.status == 2
    problems = [line.removeprefix("error: ") for line in checked.err.splitlines() if line.startswith("error: ")]
    assert len(problems) == 9
    for command in STRICT:
        said = run(*command)
        assert said.status == 0, said.err
        for problem in problems:
            assert f"*** WARNING - {problem}; the template small does not use it\n" in said.err
    assert run("config", "show").status == 0
    assert "nodes of ec2 are not known" in run("list").err
    for command in (["status", "lab"], ["removenode", "-y", "lab"], ["stop", "-y", "lab"], ["terminate", "-y", "lab"]):
        said = run(*command)
        assert (said.status, said.err) == (0, "")


@pytest.mark.parametrize("what", [*OFTEN, *rest(*(what for what in USED if what not in OFTEN))])
def test_what_the_template_uses_is_an_error_but_never_in_the_way_of_undoing(run, up, folder, what):
    text = USED[what]
    if text is None:
        up.config.unlink()
    elif isinstance(text, bytes):
        up.config.write_bytes(text)
    else:
        up.config.write_text(text.replace("{folder}", str(folder)))
    for command in STRICT:
        said = run(*command)
        assert (said.status, said.out) == (2, "")
        assert said.err.startswith("error: ")
    for command in (["list"], ["status", "lab"], ["exec", "lab", "true"], ["logs", "--commands", "lab"]):
        assert run(*command).status == 0
    said = run("removenode", "-y", "-a", "node002", "lab")
    assert (said.status, left(folder)) == (0, ["hello node002"])
    assert "WARNING - the config cannot be used, so that of the last start is: " in said.err
    assert run("stop", "-y", "lab").status == 0
    assert left(folder) == ["hello master", "hello node001", "hello node002"]
    (folder / "left").unlink()
    assert run("terminate", "-y", "lab").status == 0
    assert left(folder) == ["hello master", "hello node001"]
    assert up.provider.nodes() == []
    assert not (up.home / "clusters" / "lab").exists()


def test_a_plugin_that_is_gone_is_named_and_the_others_undo_their_work(run, up, folder):
    (folder / "offline.py").unlink()
    said = run("terminate", "-y", "lab")
    assert said.status == 0
    assert "plugin packages: cannot load" in said.err
    assert left(folder) == ["hello master", "hello node001", "hello node002"]


def test_a_plugin_that_cannot_be_made_is_named_and_the_others_undo_their_work(run, up, folder):
    text = (folder / "offline.py").read_text()
    (folder / "offline.py").write_text(
        text.replace("class Offline(Packages):", "class Offline(Packages):\n    __init__ = None")
    )
    assert run("start", "lab").status == 1
    said = run("terminate", "-y", "lab")
    assert said.status == 0
    assert "its work is not undone" in said.err
    assert left(folder) == ["hello master", "hello node001", "hello node002"]


def test_a_plugin_that_the_template_names_no_more_undoes_its_work(run, up, folder):
    up.config.write_text(GOOD.replace("{folder}", str(folder)).replace("packages, mine", "packages"))
    said = run("terminate", "-y", "lab")
    assert (said.status, said.err) == (0, "")
    assert left(folder) == ["hello master", "hello node001", "hello node002"]


def test_the_environment_of_the_start_is_remembered_and_a_broken_one_does_not_keep_it(run, up, folder, monkeypatch):
    monkeypatch.setenv("CLUSTERCTL_CLUSTER_SIZE", "many")
    assert run("start", "lab").status == 2
    assert run("terminate", "-y", "lab").status == 0
    assert left(folder) == ["hello master", "hello node001", "hello node002"]


def test_a_cluster_of_an_older_version_without_a_copy_is_undone_by_what_can_be_read(run, up, folder):
    (up.home / "clusters" / "lab" / "config.json").unlink()
    up.config.write_text(GOOD.replace("{folder}", str(folder)) + "NONSENSE = 1\n")
    said = run("terminate", "-y", "lab")
    assert said.status == 0
    assert "the config cannot be used as it is" in said.err
    assert left(folder) == ["hello master", "hello node001", "hello node002"]


@pytest.mark.parametrize("damaged", ["", "1", "{}", '{"format": 2, "sections": []}', '{"format": 1, "sections": [1]}'])
def test_a_damaged_copy_is_in_nobodys_way(run, up, folder, damaged):
    (up.home / "clusters" / "lab" / "config.json").write_text(damaged)
    assert run("status", "lab").status == 0
    up.config.unlink()
    said = run("terminate", "-y", "lab")
    assert said.status == 0
    assert "so its plugins are not called" in said.err
    assert up.provider.nodes() == []


def test_the_copy_is_the_users_own_and_has_no_secret(up):
    file = up.home / "clusters" / "lab" / "config.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "hunter2" not in file.read_text()


def test_a_template_need_not_be_the_default_to_be_started(run, laptop, folder):
    text = GOOD.replace("{folder}", str(folder))
    laptop.config.write_text(text.replace("DEFAULT_TEMPLATE = small", "DEFAULT_TEMPLATE = gone"))
    assert run("start", "-c", "small", "lab").status == 0
    assert run("start", "another").status == 2
    assert run("config", "check").status == 2
    laptop.config.write_text(text.replace("DEFAULT_TEMPLATE = small", ""))
    assert run("start", "-c", "other", "more").status == 0
    assert "DEFAULT_TEMPLATE: is needed" in run("start", "another").err
    assert "none of them the default: name small or other" in run("config", "check").out
