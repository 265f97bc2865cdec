"""System packages by dnf, with a dnf and an rpm of the tests: none of Amazon's systems can be run here."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from clusterctl.node.render import render_text

from ...support import fake_dnf

SCRIPT = """
set -eu
{% include "machine.sh" %}
apt_mirror=
{% include "system_packages.sh" %}
ensure_packages "$@"
"""
TOOLS = ("sh", "sed", "grep", "tail", "tr", "mktemp", "rm", "mkdir", "cat")


@pytest.fixture
def system(tmp_path, allow_subprocess):
    """A computer with dnf and without apt-get."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for tool in TOOLS:
        (programs / tool).symlink_to(shutil.which(tool))
    for name, text in (("dnf", fake_dnf.DNF), ("rpm", fake_dnf.RPM)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (tmp_path / "installed").write_text("curl-minimal 0 8.5.0 1.amzn2023 curl\ngit 2 2.40.1 1.amzn2023\nsudo 0 1.9 1\n")
    (tmp_path / "known").write_text("nfs-utils\ntcsh\nhtop\ngit\nmdadm\n")
    return tmp_path


@pytest.fixture
def ensure(system):
    """Runs the script, with our folder on machines moved into the test's."""
    script = render_text(SCRIPT).replace("/var/lib/clusterctl", str(system / "state"))

    def run(*packages):
        environment = {"PATH": str(system / "bin"), "FAKE": str(system), "TMPDIR": os.fspath(system)}
        done = subprocess.run(
            ["sh", "-s", "--", *packages], input=script, env=environment, text=True, capture_output=True
        )
        return done.returncode, done.stdout.splitlines(), done.stderr

    return run


def calls(system):
    file = system / "calls"
    return [line.split(" install ")[1] for line in file.read_text().splitlines()] if file.exists() else []


def test_the_missing_ones_are_installed_together_by_their_names_there_and_a_second_run_changes_nothing(system, ensure):
    status, said, error = ensure("nfs-kernel-server", "nfs-common", "csh", "sudo", "htop")
    assert (status, error) == (0, "")
    assert said == [f"changed: package {name}" for name in ("nfs-kernel-server", "nfs-common", "csh", "htop")]
    assert calls(system) == ["nfs-utils tcsh htop"]
    assert (system / "state/base/packages").read_text().split() == ["nfs-kernel-server", "nfs-common", "csh", "htop"]
    assert ensure("nfs-kernel-server", "nfs-common", "csh", "sudo", "htop") == (0, [], "")
    assert len(calls(system)) == 1


def test_what_another_package_provides_is_there(system, ensure):
    assert ensure("curl") == (0, [], "")
    assert calls(system) == []


@pytest.mark.parametrize("version", ["2.40.1", "2.40.1-1.amzn2023", "2:2.40.1-1.amzn2023", "2.40*"])
def test_a_version_that_is_there_is_left_alone(system, ensure, version):
    assert ensure(f"git={version}") == (0, [], "")
    assert calls(system) == []


def test_another_version_is_asked_for_as_dnf_writes_it(system, ensure):
    assert ensure("git=1:2.39*")[:2] == (0, ["changed: package git=1:2.39*"])
    assert calls(system) == ["git-1:2.39*"]


def test_one_that_does_not_exist_is_named(ensure):
    status, said, error = ensure("htop", "fish", "libpam-modules")
    assert (status, said) == (65, [])
    assert "error: there is no such system package here: fish libpam-modules" in error
    assert "try: names are not always those of Debian here" in error


def test_releases_of_debian_are_refused(ensure):
    status, _, error = ensure("htop/bookworm-backports")
    assert status == 65
    assert "error: there are no releases to take htop from here" in error


@pytest.mark.parametrize(
    "text",
    [
        "  - Curl error (6): Couldn't resolve host name\nError: Failed to download metadata for repo 'amazonlinux'\n",
        "Error: Error downloading packages:\n  Cannot download x.rpm: All mirrors were tried\n",
    ],
)
def test_an_archive_out_of_reach_is_said_to_be(system, ensure, text):
    (system / "broken").write_text(text)
    status, _, error = ensure("htop")
    assert status == 65
    assert "error: the archive of system packages is out of reach:" in error
    assert "HTTP_PROXY" in error


def test_whatever_else_dnf_says_is_passed_on(system, ensure):
    (system / "broken").write_text("Error: \n Problem: conflicting requests\n")
    status, _, error = ensure("htop")
    assert status == 65
    assert "conflicting requests" in error
    assert "dnf install htop" in error


def test_without_either_the_missing_are_named(system, ensure):
    (system / "bin/dnf").unlink()
    status, _, error = ensure("htop", "tree")
    assert status == 65
    assert "there is neither apt-get nor dnf to install them with: htop tree" in error
