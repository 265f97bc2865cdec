"""What a TAB offers."""

from __future__ import annotations

import click
import pytest
from click.shell_completion import ShellComplete

from clusterctl.cli.commands import COMMANDS
from clusterctl.cli.main import cli

FREE = {
    "terminate chosen",
    "attach chosen",
    "attach provider",
    "attach fingerprint",
    *("cluster_size", "min_size", "spot_bid", "cluster_user", "cluster_shell", "availability_zone", "subnet_id"),
    *("master_image_id", "node_image_id", "master_instance_type", "node_instance_type", "start_timeout"),
    *("user", "command", "execute", "name", "zone", "region", "snapshot_id", "marks", "start", "end", "since", "types"),
    *("instance_type", "image_id", "base"),
    "addnode aliases",
    "cancel client",
    "keep time",
    *("sync remote", "logs pattern"),
    "install packages",
    "createvolume kms_key",
    *("run title", "run variables", "run fetch", "job_id", "job fetch paths"),
}
"""Parameters that take any text, or what a cloud alone could list."""


def parameters():
    """Every parameter that is shown, with the words of its command."""
    below = [("", cli)]
    while below:
        words, command = below.pop()
        for parameter in command.params:
            if not getattr(parameter, "hidden", False):
                yield words, parameter
        if command is cli:
            below += [(name, cli.get_command(click.Context(cli), name)) for name in COMMANDS]
        elif isinstance(command, click.Group):
            below += [(f"{words} {name}", child) for name, child in command.commands.items()]


def test_every_parameter_is_completed_or_takes_free_text():
    texts = {(words, parameter.name) for words, parameter in parameters() if parameter.type.name == "text"}
    assert {f"{words} {name}" for words, name in texts if not {name, f"{words} {name}"} & FREE} == set()
    assert {name for name in FREE if " " not in name} <= {name for _, name in texts}


def test_what_is_called_a_file_is_completed_as_one():
    for words, parameter in parameters():
        if "FILE" in (parameter.metavar or ""):
            assert isinstance(parameter.type, click.Path), (words, parameter.name)


class TestCompletion:
    @pytest.fixture
    def complete(self):
        def complete(*words):
            shell = ShellComplete(cli, {}, "clusterctl", "_CLUSTERCTL_COMPLETE")
            return [item.value for item in shell.get_completions(list(map(str, words[:-1])), words[-1])]

        return complete

    @pytest.mark.parametrize(
        "words",
        [
            ["-c", ""],
            ["put", "mine", "./f"],
            ["get", "mine", "f", "./"],
            ["config", "check", ""],
            ["config", "init", "--path", ""],
            ["start", "-U", ""],
            ["image", "build", "--rootfs", ""],
            ["createkey", "x", "-o", ""],
            ["spothistory", "c5.large", "-p", "x"],
        ],
    )
    def test_of_files(self, words):
        shell = ShellComplete(cli, {}, "clusterctl", "_CLUSTERCTL_COMPLETE")
        (item,) = shell.get_completions(words[:-1], words[-1])
        assert item.type == "file"

    def test_of_plugins_and_their_options(self, complete, laptop):
        assert complete("runplugin", "e") == ["engines", "every_hook"]
        assert complete("runplugin", "ipcluster") == ["ipcluster", "ipclusterrestart", "ipclusterstop"]
        assert complete("start", "--set", "ipcluster") == ["ipcluster.", "ipclusterrestart.", "ipclusterstop."]
        assert complete("start", "--set", "ipcluster.enable_n") == ["ipcluster.enable_notebook="]
        assert complete("start", "--set", "nothing.x") == []

    def test_of_keys(self, complete, laptop):
        laptop.config.write_text("[key mine]\n[cluster a]\n[KEY yours]\n")
        assert complete("start", "-k", "") == ["mine", "yours"]

    def test_of_hosts(self, complete, laptop):
        laptop.config.write_text("[host alpha]\n[cluster a]\n[HOST beta]\n")
        assert complete("attach", "--host", "") == ["alpha", "beta"]

    def test_of_sizes_of_the_config_file(self, complete, laptop):
        laptop.config.write_text(
            "[sizes]\nC16 = c7i.4xlarge,\n  c7a.4xlarge\nGPU = g6.xlarge\n[cluster a]\nPLUGINS = x\n"
        )
        assert complete("run", "-i", "") == ["C16", "GPU"]

    def test_of_commands(self, complete):
        assert complete("st") == ["start", "stop", "status"]

    def test_of_clusters_asks_no_provider(self, complete, run, laptop):
        run("start", "mine", "-s", "1")
        run("start", "yours", "-s", "1")
        asked = len(laptop.provider.calls)
        assert complete("terminate", "") == ["mine", "yours"]
        assert complete("sshmaster", "m") == ["mine"]
        assert len(laptop.provider.calls) == asked

    def test_of_nodes_of_the_cluster_that_is_named(self, complete, run, laptop):
        run("start", "mine", "-s", "3")
        assert complete("sshnode", "mine", "node") == ["node001", "node002"]
        assert complete("sshnode", "unknown", "") == []

    def test_of_templates(self, complete, laptop):
        assert complete("start", "-c", "") == ["small", "big"]
        assert complete("start", "-c", "b") == ["big"]
        assert complete("config", "show", "") == complete("config", "check", "-c", "") == ["small", "big"]

    def test_of_templates_of_the_file_that_is_named(self, complete, laptop, tmp_path):
        (tmp_path / "other.ini").write_text("[cluster special]\n")
        assert complete("-c", tmp_path / "other.ini", "start", "-c", "") == ["special"]

    def test_without_a_config_there_is_the_built_in_template(self, complete):
        assert complete("start", "-c", "") == ["local", "docker"]
        assert complete("terminate", "") == []

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_its_script_is_printed(self, run, shell, monkeypatch):
        from click import shell_completion

        monkeypatch.setattr(shell_completion.BashComplete, "_check_version", staticmethod(lambda: None))
        said = run("completion", shell)
        assert said.status == 0
        assert "_CLUSTERCTL_COMPLETE" in said.out
