"""One lock for the whole cluster, made before anything is created, and one environment a node."""

from __future__ import annotations

import os
import platform
import re
import stat
import subprocess
import sys
import time

import pytest
import uv

from clusterctl.api import Facet, Machines, PluginError, Request
from clusterctl.config.cluster_section import ClusterSection
from clusterctl.environment import installed
from clusterctl.environment import lock as locks
from clusterctl.planning import build_plan
from clusterctl.plugin.loader import find_plugin_class, options_model
from clusterctl.testing import fake_cluster, fake_node

PYTHON = ".".join(platform.python_version_tuple()[:2])


@pytest.fixture
def packages():
    plugin = find_plugin_class("packages")

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
                # As uv does, it writes to a file where one is named; ours is the last word then.
                'for last; do [ "$last" = --output-file ] && exec >"$(eval echo \\${$#})"; done\n'
                f"cat <<'X'\n{text}\nX\ncat >&2 <<'X'\n{errors}\nX\nexit {status}\n"
            )
            program.chmod(program.stat().st_mode | stat.S_IXUSR)

    monkeypatch.setattr(uv, "find_uv_bin", lambda: str(program))
    made = Uv()
    made.answers("numpy==2.0")
    return made


def plan(*requirements, provider="local"):
    return build_plan(
        "lab",
        ClusterSection(cluster_user="me"),
        provider=provider,
        plugins=(),
        request=Request(pip=requirements),
        nodes=("master",),
        machines=Machines("me"),
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


def loaded(cluster):
    return cluster.remembered["loaded environment"]


def test_packages_that_only_come_are_no_reason_to_start_engines_anew(packages, fake_uv, tmp_path):
    cluster = cluster_in(tmp_path)
    packages().clusterctl_prepare(cluster, plan("numpy"))
    began = loaded(cluster)
    fake_uv.answers("numpy==2.0\nscipy==1.0")
    packages().clusterctl_prepare(cluster, plan("numpy", "scipy"))
    assert loaded(cluster) == began
    packages().clusterctl_prepare(cluster, plan("numpy", "scipy"))
    assert loaded(cluster) == began
    fake_uv.answers("numpy==2.1\nscipy==1.0\npandas==3.0")
    packages().clusterctl_prepare(cluster, plan("numpy", "scipy", "pandas"))
    assert loaded(cluster) not in {"", began}, "another version of what they may have loaded"


def test_packages_that_go_are_a_reason_also_where_engines_began_without_them(packages, fake_uv, tmp_path):
    cluster = cluster_in(tmp_path)
    packages().clusterctl_prepare(cluster, plan("numpy"))
    began = loaded(cluster)
    fake_uv.answers("numpy==2.0\nscipy==1.0")
    packages().clusterctl_prepare(cluster, plan("numpy", "scipy"))
    packages().clusterctl_prepare(cluster, plan("numpy"))
    without = loaded(cluster)
    assert without != began
    packages().clusterctl_prepare(cluster, plan("numpy"))
    assert loaded(cluster) == without
    packages().clusterctl_prepare(cluster, plan("numpy", "scipy"))
    assert loaded(cluster) == without
    packages().clusterctl_prepare(cluster, plan("numpy"))
    assert loaded(cluster) not in {began, without}, "the second time, too"


def test_versions_that_the_nodes_have_stay_where_they_can(packages, fake_uv, tmp_path):
    cluster = cluster_in(tmp_path)
    packages().clusterctl_prepare(cluster, plan("numpy"))
    assert "--output-file" not in fake_uv.calls[-1]
    packages().clusterctl_prepare(cluster, plan("numpy", "scipy"))
    assert "--output-file" in fake_uv.calls[-1], "where uv finds the versions that it should keep"


def test_an_index_out_of_reach_is_an_error_with_a_remedy(packages, fake_uv, tmp_path):
    fake_uv.answers("", status=2, errors="error: Failed to fetch: `https://pypi.org/simple/numpy/`")
    with pytest.raises(PluginError, match="the package index is out of reach") as caught:
        packages().clusterctl_prepare(cluster_in(tmp_path), plan("numpy"))
    assert "https://pypi.org/simple/numpy/" in caught.value.message
    assert "UV_DEFAULT_INDEX" in caught.value.remedy


def test_an_index_with_an_unknown_authority_is_not_a_network_that_is_down(packages, fake_uv, tmp_path):
    fake_uv.answers("", status=2, errors="error sending request for url\ninvalid peer certificate: UnknownIssuer")
    with pytest.raises(PluginError, match="certificate of the package index is not trusted") as caught:
        packages().clusterctl_prepare(cluster_in(tmp_path), plan("numpy"))
    assert "SSL_CERT_FILE" in caught.value.remedy


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
    assert list(cluster.folder.glob("lock-*")) == []


def test_a_cache_that_cannot_be_written_is_only_a_cache(packages, fake_uv, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    cluster, plugin = cluster_in(tmp_path), packages()
    plugin.clusterctl_prepare(cluster, plan("numpy"))
    assert "numpy==2.0" in join_script(plugin, cluster)


MACHINE = frozenset({Facet.MACHINE})


@pytest.mark.parametrize("facets", [frozenset(), MACHINE], ids=["shared", "machine"])
def test_a_join_is_one_command_and_its_script_is_shell(packages, fake_uv, tmp_path, facets):
    home = {"notes/it's.txt": "a 'b' $c\n"}
    cluster = cluster_in(tmp_path, nodes=[fake_node(facets=facets)], request=Request(files=home))
    plugin = packages()
    plugin.clusterctl_prepare(cluster, plan("numpy"))
    script = join_script(plugin, cluster)
    (ran,) = cluster.ran
    assert ran.sudo
    assert "$c" in script
    assert subprocess.run(["sh", "-n"], input=script, text=True).returncode == 0


def test_nodes_that_share_a_disk_link_to_the_cache_and_a_machine_builds_where_it_stands(packages, fake_uv, tmp_path):
    machine = fake_node("node001", facets=MACHINE)
    cluster = cluster_in(tmp_path, nodes=[fake_node(), machine])
    plugin = packages()
    plugin.clusterctl_prepare(cluster, plan("numpy"))
    shared, own = join_script(plugin, cluster), join_script(plugin, cluster, machine)
    assert "/environments" in shared
    assert "/etc/clusterctl/environment" not in shared
    assert "/environments" not in own
    assert f'"uv {locks.uv_version()}"' in own
    assert "--compile-bytecode" not in own


def test_a_bake_is_the_same_without_files_and_with_its_bytecode(packages, fake_uv, tmp_path):
    node = fake_node(facets=MACHINE)
    cluster = cluster_in(tmp_path, nodes=[node], request=Request(files={"notes": "only for the user"}))
    plugin = packages()
    plugin.clusterctl_prepare(cluster, plan("numpy"))
    plugin.clusterctl_bake(cluster, node)
    (ran,) = cluster.ran
    assert ran.sudo
    assert cluster.remembered["environment"] in ran.text
    assert "--compile-bytecode" in ran.text
    assert "only for the user" not in ran.text


def test_undo_is_one_command_of_roots(packages, tmp_path):
    cluster = cluster_in(tmp_path, nodes=[fake_node(facets=MACHINE | {Facet.LASTING})])
    packages().clusterctl_undo(cluster, cluster.master)
    assert [(ran.name, ran.sudo) for ran in cluster.ran] == [("packages: remove", True)]


def test_files_name_packages_too_and_a_comma_belongs_to_its_requirement(packages, tmp_path):
    (tmp_path / "r.txt").write_text("scipy\n-c c.txt\n")
    (tmp_path / "c.txt").write_text("numpy<3\n")
    (tmp_path / "p.toml").write_text("[project]\ndependencies = ['rich']\noptional-dependencies = {x = ['zarr']}\n")
    (tmp_path / "e.yml").write_text("dependencies:\n- numpy\n- pip:\n  - torch\n")
    plugin = packages(
        packages="numpy>=1,<3, git-lib @ git+https://example.org/x",
        requirements=str(tmp_path / "r.txt"),
        pyproject=str(tmp_path / "p.toml"),
        extras="x",
        environment=str(tmp_path / "e.yml"),
    )
    request = plugin.clusterctl_request()
    assert request.pip == (
        "numpy>=1,<3",
        "git-lib @ git+https://example.org/x",
        "scipy",
        "-c numpy<3",
        "rich",
        "zarr",
        "torch",
    )
    assert request.apt == ("git",)


def test_what_is_left_out_is_said_before_anything_is_created(packages, fake_uv, tmp_path):
    (tmp_path / "e.yml").write_text("dependencies:\n- numpy\n")
    plugin, cluster = packages(environment=str(tmp_path / "e.yml")), cluster_in(tmp_path)
    plugin.clusterctl_request()
    plugin.clusterctl_prepare(cluster, plan())
    assert f"{tmp_path / 'e.yml'}: conda packages are not installed: numpy" in cluster.said


def test_all_that_is_wrong_is_said_at_once(packages, tmp_path):
    (tmp_path / "r.txt").write_text("-e .\n")
    plugin = packages(
        requirements=f"{tmp_path / 'r.txt'}, {tmp_path / 'none'}", extras="x", find_links="wheels", no_index="yes"
    )
    with pytest.raises(PluginError) as caught:
        plugin.clusterctl_request()
    assert caught.value.message.splitlines() == [
        f"{tmp_path / 'r.txt'}:1: . is editable: only this computer has it",
        f"there is no {tmp_path / 'none'}",
        "EXTRAS needs PYPROJECT: whose extras?",
        "FIND_LINKS: wheels is neither a URL nor an absolute path",
    ]
    with pytest.raises(PluginError, match="NO_INDEX needs FIND_LINKS"):
        packages(no_index="yes").clusterctl_request()


def test_sync_repeats_this_computers_environment(packages, fake_uv, tmp_path, monkeypatch):
    asked = []

    def read(prefix, *, exclude):
        asked.append((prefix, exclude))
        return installed.Installed(prefix, "3.1", ("numpy==2.0",), ("mine (editable: /src)",))

    monkeypatch.setattr(installed, "read", read)
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path))
    cluster, plugin = cluster_in(tmp_path), packages(sync="yes", sync_exclude="torch", packages="rich")
    assert plugin.clusterctl_request().pip == ("rich", "numpy==2.0")
    assert asked == [(tmp_path, ("torch",))]
    plugin.clusterctl_prepare(cluster, plan())
    assert any("mine (editable: /src)" in said for said in cluster.said)
    assert re.search(rf"has Python 3\.1, and the nodes get {PYTHON}", cluster.problems[0])


def test_a_private_index_is_in_no_argument_log_or_event(packages, fake_uv, tmp_path):
    secrets = {
        "index_url": "https://me:hunter2@example.org/simple",
        "extra_index_urls": "https://t0ken@a/s, https://b/s",
    }
    plugin, machine = packages(**secrets), fake_node(facets=MACHINE)
    cluster = cluster_in(tmp_path, nodes=[machine])
    fake_uv.answers("", status=1, errors="no numpyy at https://me:hunter2@example.org/simple")
    with pytest.raises(PluginError) as caught:
        plugin.clusterctl_prepare(cluster, plan("numpyy"))
    fake_uv.answers("numpy==2.0")
    plugin.clusterctl_prepare(cluster, plan("numpy"))
    script = join_script(plugin, cluster)
    assert "export UV_DEFAULT_INDEX=https://me:hunter2@example.org/simple" in script
    assert "export UV_INDEX='https://t0ken@a/s https://b/s'" in script
    written = "".join(path.name + path.read_text() for path in tmp_path.rglob("*.txt"))
    shown = [*fake_uv.calls, *cluster.said, caught.value.message, written, cluster.ran[-1].name, repr(plugin.options)]
    shown += [str(value) for value in cluster.remembered.values()]
    assert not any("hunter2" in text or "t0ken" in text for text in shown)


def test_members_keep_their_versions_though_the_index_changes(packages, fake_uv, tmp_path):
    cluster = cluster_in(tmp_path)
    packages().clusterctl_prepare(cluster, plan("numpy"))
    fake_uv.answers("numpy==3.0")
    private = packages(index_url="https://example.org/simple")
    private.clusterctl_prepare(cluster, plan("numpy"))
    assert "numpy==2.0" in join_script(private, cluster)
    private.clusterctl_prepare(cluster_in(tmp_path, "another"), plan("numpy"))
    assert len(fake_uv.calls) == 2


def test_constraints_reach_uv_and_change_the_lock(packages, fake_uv, tmp_path):
    cluster = cluster_in(tmp_path)
    packages().clusterctl_prepare(cluster, plan("numpy"))
    packages().clusterctl_prepare(cluster, plan("numpy", "-c numpy<2"))
    assert len(fake_uv.calls) == 2
    assert "--constraints" in fake_uv.calls[1]
    assert fake_uv.calls[1].endswith("< numpy ")


def test_what_only_the_laptop_has_is_for_local_nodes_alone(packages, fake_uv, tmp_path):
    fake_uv.answers("mine @ file:///src/mine")
    packages().clusterctl_prepare(cluster_in(tmp_path), plan("mine @ file:///src/mine"))
    with pytest.raises(PluginError, match="only this computer has: mine @ file:///src/mine"):
        packages().clusterctl_prepare(cluster_in(tmp_path, "b"), plan("mine @ file:///src/mine", provider="docker"))


def test_system_packages_are_reported_as_not_needed_where_there_is_no_machine(packages, fake_uv, tmp_path):
    cluster = cluster_in(
        tmp_path,
        nodes=[fake_node(), fake_node("node001", facets=MACHINE)],
        request=Request(apt=("git", "vim")),
    )
    plugin = packages()
    plugin.clusterctl_prepare(cluster, plan())
    join_script(plugin, cluster)
    assert "master: system packages are not needed here (git, vim)" in cluster.said
    del cluster.events[:]
    join_script(plugin, cluster, cluster.node("1"))
    assert not any("not needed" in said for said in cluster.said)


def test_git_for_ones_own_packages_is_nothing_to_report(packages, fake_uv, tmp_path):
    plugin = packages(packages="x @ git+https://example.org/x")
    request = plugin.clusterctl_request()
    cluster = cluster_in(tmp_path, request=request)
    plugin.clusterctl_prepare(cluster, plan(*request.pip))
    join_script(plugin, cluster)
    assert not any("not needed" in said for said in cluster.said)
