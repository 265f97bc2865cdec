"""A cluster that was started with another config file, looked at and ended without it."""

from __future__ import annotations

import pytest


@pytest.fixture
def other(laptop, tmp_path):
    """A config file elsewhere whose template has no engines."""
    file = tmp_path / "elsewhere" / "F"
    file.parent.mkdir()
    packages = f"[plugin packages]\nSETUP_CLASS = {tmp_path}/offline.py:Offline\n"
    file.write_text(f"[cluster small]\nPROVIDER = local\nCLUSTER_SIZE = 2\n[cluster bare]\nEXTENDS = small\n{packages}")
    return file


@pytest.mark.parametrize("template", ["small", "bare"])
@pytest.mark.parametrize("default", ["a default config", "no default config"])
@pytest.mark.parametrize("file", ["is there", "is gone"])
def test_it_is_whole_from_elsewhere_and_a_file_that_is_gone_is_named(run, laptop, other, template, default, file):
    if default == "no default config":
        laptop.config.unlink()
    assert run("-c", other, "start", "-c", template, "lab").status == 0
    if file == "is gone":
        other.rename(other.with_name("G"))
    why = f"so that of the last start is: lab was started with the config file {other}, which is not there"
    said = run("status", "lab")
    assert said.status == 0
    assert "lab: running, 2 nodes, no engines (local)" in said.out
    assert (why in said.err) if file == "is gone" else (said.err == "")
    assert "engines" not in said.out.partition("tunnel:")[2]
    assert run("status", "lab", "--json").json["engines"] == 0
    assert "lab: running, 2 nodes, no engines (local)" in run("list").out
    now = other if other.exists() else other.with_name("G")
    assert run("-c", now, "status", "lab").err == ""
    said = run("terminate", "-y", "lab")
    assert said.status == 0
    assert (why in said.err) if file == "is gone" else (said.err == "")


def test_what_needs_the_config_itself_reads_its_file_or_names_it(run, laptop, other):
    assert run("-c", other, "start", "-c", "bare", "lab").status == 0
    commands = (["start", "lab"], ["addnode", "lab"], ["restart", "--yes", "lab"], ["runplugin", "packages", "lab"])
    for command in commands:
        assert run(*command).status == 0
        said = run("-c", laptop.config, *command)
        assert said.status == 2
        assert "last start: lab: there is no section [cluster bare]" in said.err
        assert f"clusterctl -c {other}" in said.err
    other.unlink()
    for command in commands:
        said = run(*command)
        assert said.status == 2
        assert f"lab was started with the config file {other}, which is not there" in said.err


def test_a_cluster_whose_engines_do_not_answer_has_an_unknown_number(run, laptop):
    assert run("start", "lab").status == 0
    assert "6 engines" in run("list").out
    run("stop", "-y", "lab")
    assert "unknown engines" in run("list").out
