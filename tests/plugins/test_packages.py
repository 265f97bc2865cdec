"""One lock for the whole cluster, made before anything is created, and one environment a node."""

from __future__ import annotations

import os
import platform
import stat
import subprocess
import sys
import time

import pytest
import uv

from clusterctl.api import Facet, PluginError, Request
from clusterctl.planning import make_plan
from clusterctl.plugin_host import find, options_model
from clusterctl.settings import ClusterSection
from clusterctl.testing import fake_cluster, fake_node

PYTHON = ".".join(platform.python_version_tuple()[:2])


@pytest.fixture
def packages():
    plugin = find("packages")

    def packages(**options):
        return plugin(options_model(plugin)(**options))

    return packages


@pytest.fixture
def fake_uv(tmp_path, monkeypatch, allow_subprocess):
    """An `uv` that writes down what it is asked, and answers what it is told."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    program, asked = tmp_path / "uv", tmp_path / "asked"

    class Uv:
        calls = property(lambda self: asked.read_text().splitlines() if asked.exists() else [])

        def answers(self, text, status=0, errors=""):
            program.write_text(
                f"#!/bin/sh\necho \"$@ < $(tr '\\n' ' ')\" >> '{asked}'\n"
                f"cat <<'X'\n{text}\nX\ncat >&2 <<'X'\n{errors}\nX\nexit {status}\n"
            )
            program.chmod(program.stat().st_mode | stat.S_IXUSR)

    monkeypatch.setattr(uv, "find_uv_bin", lambda: str(program))
    made = Uv()
    made.answers("numpy==2.0")
    return made


def plan(*requirements):
    return make_plan(
        "lab",
        ClusterSection(cluster_user="me"),
        provider="local",
        plugins=(),
        request=Request(pip=requirements),
        nodes=("master",),
    )


def cluster_in(tmp_path, name="laptop", **options):
    (tmp_path / name).mkdir(exist_ok=True)
    return fake_cluster(tmp_path / name, **options)


def join_script(plugin, cluster, node=None):
    plugin.clusterctl_join(cluster, node or cluster.master)
    return cluster.ran[-1].text


def test_its_packages_are_what_its_section_says(packages):
    assert packages(packages="numpy, scipy>=1").clusterctl_request() == Request(pip=("numpy", "scipy>=1"))
    assert packages().clusterctl_request() == Request()


def test_all_requirements_are_resolved_together_once_for_the_laptops_python(packages, fake_uv, tmp_path):
    cluster = cluster_in(tmp_path)
    plugin = packages()
    plugin.clusterctl_prepare(cluster, plan("numpy", "scipy>=1"))
    (call,) = fake_uv.calls
    assert call.startswith("pip compile - ")
    assert f"--python-version {PYTHON} --python {sys.executable}" in call
    assert call.endswith("< numpy scipy>=1 ")
    assert cluster.remembered["python"] == PYTHON
    assert cluster.remembered["environment"] in join_script(plugin, cluster)
    assert "numpy==2.0" in cluster.ran[-1].text


def test_a_cluster_keeps_its_lock_whatever_happens_to_the_cache(packages, fake_uv, tmp_path):
    cluster = cluster_in(tmp_path)
    packages().clusterctl_prepare(cluster, plan("numpy"))
    fake_uv.answers("numpy==3.0")
    (tmp_path / "cache" / "clusterctl" / "locks").rename(tmp_path / "away")
    again = packages()
    again.clusterctl_prepare(cluster, plan("numpy"))
    assert len(fake_uv.calls) == 1
    assert "numpy==2.0" in join_script(again, cluster)


def test_another_cluster_takes_a_recent_lock_and_asks_after_its_age(packages, fake_uv, tmp_path):
    packages().clusterctl_prepare(cluster_in(tmp_path, "one"), plan("numpy"))
    packages().clusterctl_prepare(cluster_in(tmp_path, "two"), plan("numpy"))
    assert len(fake_uv.calls) == 1
    packages(lock_max_age=0).clusterctl_prepare(cluster_in(tmp_path, "three"), plan("numpy"))
    assert len(fake_uv.calls) == 2


def test_other_requirements_have_another_lock_and_another_environment(packages, fake_uv, tmp_path):
    cluster = cluster_in(tmp_path)
    packages().clusterctl_prepare(cluster, plan("numpy"))
    before = cluster.remembered["environment"]
    fake_uv.answers("numpy==2.0\nscipy==1.0")
    packages().clusterctl_prepare(cluster, plan("numpy", "scipy"))
    assert cluster.remembered["environment"] != before


def test_an_index_out_of_reach_is_an_error_with_a_remedy(packages, fake_uv, tmp_path):
    fake_uv.answers("", status=2, errors="error: Failed to fetch: `https://pypi.org/simple/numpy/`")
    with pytest.raises(PluginError, match="the package index is out of reach") as caught:
        packages().clusterctl_prepare(cluster_in(tmp_path), plan("numpy"))
    assert "https://pypi.org/simple/numpy/" in caught.value.message
    assert "UV_DEFAULT_INDEX" in caught.value.remedy


def test_but_an_old_lock_is_better_than_none_and_it_is_said(packages, fake_uv, tmp_path):
    packages().clusterctl_prepare(cluster_in(tmp_path, "one"), plan("numpy"))
    (lock,) = (tmp_path / "cache" / "clusterctl" / "locks").iterdir()
    week_ago = time.time() - 7 * 86400
    os.utime(lock, (week_ago, week_ago))
    fake_uv.answers("", status=2, errors="error sending request for url")
    cluster, plugin = cluster_in(tmp_path, "two"), packages()
    plugin.clusterctl_prepare(cluster, plan("numpy"))
    assert "numpy==2.0" in join_script(plugin, cluster)
    assert cluster.problems == ["the package index is out of reach: using the versions resolved 168 hours ago"]


def test_a_package_that_does_not_exist_costs_nothing_but_the_message(packages, fake_uv, tmp_path):
    fake_uv.answers("", status=1, errors="Because numpyy was not found, no solution")
    cluster = cluster_in(tmp_path)
    with pytest.raises(PluginError, match=r"(?s)cannot be resolved.*numpyy was not found") as caught:
        packages().clusterctl_prepare(cluster, plan("numpyy"))
    assert "PACKAGES" in caught.value.remedy
    assert list(cluster.folder.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_only_a_cache(packages, fake_uv, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    cluster, plugin = cluster_in(tmp_path), packages()
    plugin.clusterctl_prepare(cluster, plan("numpy"))
    assert "numpy==2.0" in join_script(plugin, cluster)


def test_a_join_is_one_command_and_its_script_is_shell(packages, fake_uv, tmp_path):
    home = {"notes/it's.txt": "a 'b' $c\n"}
    cluster = cluster_in(tmp_path, request=Request(files=home))
    plugin = packages()
    plugin.clusterctl_prepare(cluster, plan("numpy"))
    script = join_script(plugin, cluster)
    assert len(cluster.ran) == 1
    assert "a 'b' $c" in script
    assert subprocess.run(["sh", "-n"], input=script, text=True).returncode == 0


def test_system_packages_are_reported_as_not_needed_where_there_is_no_machine(packages, fake_uv, tmp_path):
    cluster = cluster_in(
        tmp_path,
        nodes=[fake_node(), fake_node("node001", facets=frozenset({Facet.MACHINE}))],
        request=Request(apt=("git", "vim")),
    )
    plugin = packages()
    plugin.clusterctl_prepare(cluster, plan())
    join_script(plugin, cluster)
    assert "master: system packages are not needed here (git, vim)" in cluster.said
    del cluster.events[:]
    join_script(plugin, cluster, cluster.node("1"))
    assert not any("not needed" in said for said in cluster.said)
