"""Where packages come from, and that its passwords show nowhere."""

from __future__ import annotations

import re
import subprocess

import pytest
import uv

from clusterctl.environment import lock
from clusterctl.errors import PluginError
from clusterctl.secret import Secret

PRIVATE = lock.Index(
    default=Secret("https://me:hunter2@example.org/simple"),
    extra=(Secret("https://t0ken@more.org/simple"),),
    find_links=("/wheels", "https://example.org/w"),
    only_links=True,
)


def test_an_index_is_told_to_uv_in_its_environment_and_never_in_arguments():
    shown = {name: value.reveal() for name, value in PRIVATE.environment().items()}
    assert shown == {
        "UV_DEFAULT_INDEX": "https://me:hunter2@example.org/simple",
        "UV_INDEX": "https://t0ken@more.org/simple",
        "UV_FIND_LINKS": "/wheels,https://example.org/w",
    }
    assert PRIVATE.arguments() == ("--no-index",)
    assert lock.Index().environment() == {}
    assert "hunter2" not in f"{PRIVATE} {PRIVATE.environment()}"


def test_several_urls_are_each_as_secret_as_their_list():
    urls = lock.split_urls(Secret("https://a/simple, https://u:p@b/simple\nhttps://c"))
    assert [url.reveal() for url in urls] == ["https://a/simple", "https://u:p@b/simple", "https://c"]
    assert all(isinstance(url, Secret) for url in urls)


def test_credentials_are_hidden_however_they_are_quoted():
    said = "https://me:hunter2@example.org/x t0ken hunter2 example.org"
    assert PRIVATE.hide(said) == "https://***@example.org/x *** *** example.org"


def test_an_environment_is_named_by_its_lock_and_its_python(monkeypatch):
    name = lock.digest("numpy==2.0\n")
    assert re.fullmatch("[0-9a-f]{16}", name)
    assert lock.digest("numpy==2.1\n") != name
    monkeypatch.setattr(lock, "python", lambda: "another")
    assert lock.digest("numpy==2.0\n") != name


def test_a_key_changes_with_index_and_constraints_and_not_with_the_password():
    keys = [
        lock.key(("numpy",), lock.Index()),
        lock.key(("numpy", "-c numpy<2"), lock.Index()),
        lock.key(("numpy",), PRIVATE),
        lock.key(("numpy",), lock.Index(only_links=True, find_links=("/wheels",))),
    ]
    assert len(set(keys)) == len(keys)
    other = lock.Index(Secret("https://me:new@example.org/simple"), PRIVATE.extra, PRIVATE.find_links, only_links=True)
    assert lock.key(("numpy",), other) == keys[2]


@pytest.mark.parametrize(
    ("line", "local"),
    [
        ("x @ file:///x", True),
        ("x @ git+file:///x", True),
        ("/abs/x", True),
        ("./x", True),
        ("-e x", True),
        ("x @ https://example.org/x.whl", False),
        ("x==1 ; sys_platform == 'linux'", False),
    ],
)
def test_what_only_the_laptop_has_is_seen_in_a_lock(line, local):
    assert lock.local_lines(f"numpy==1\n{line}\n") == ([line] if local else [])


@pytest.fixture
def ran(monkeypatch):
    """What uv was called with; it fails as if nobody answered."""
    seen = {}

    def run(command, **options):
        seen.update(command=command, **options)
        if "--constraints" in command:
            path = command[command.index("--constraints") + 1]
            with open(path) as file:  # noqa: PTH123
                seen["constraints"] = file.read()
        return subprocess.CompletedProcess(command, 2, "", "Failed to fetch https://me:hunter2@example.org/simple/x/")

    monkeypatch.setattr(uv, "find_uv_bin", lambda: "uv")
    monkeypatch.setattr(lock.subprocess, "run", run)
    return seen


def test_uv_gets_requirements_constraints_and_index_and_its_error_shows_no_password(ran):
    with pytest.raises(lock.IndexOutOfReachError) as caught:
        lock.resolve(("numpy", "-c scipy<2", "rich"), PRIVATE)
    assert ran["input"] == "numpy\nrich\n"
    assert ran["constraints"] == "scipy<2\n"
    assert ran["env"]["UV_DEFAULT_INDEX"] == "https://me:hunter2@example.org/simple"
    assert "PATH" in ran["env"]
    assert not any("hunter2" in word or "t0ken" in word for word in ran["command"])
    assert "--no-index" in ran["command"]
    assert "hunter2" not in caught.value.message


def test_uv_itself_takes_all_of_it(tmp_path, allow_subprocess):
    """A wheelhouse that is empty: what is missing is said, and no index was asked."""
    index = lock.Index(Secret("https://me:hunter2@example.org/simple"), find_links=(str(tmp_path),), only_links=True)
    with pytest.raises(PluginError, match="cannot be resolved") as caught:
        lock.resolve(("answer", "-c answer<2"), index)
    assert "hunter2" not in caught.value.message


def test_a_cache_in_which_others_may_write_is_not_believed(tmp_path):
    path = tmp_path / "cache" / "locks" / "x.lock"
    lock.write_cached(path, "numpy==1.0\n")
    assert lock.read_cached(path) == "numpy==1.0\n"
    (tmp_path / "cache").chmod(0o777)
    assert lock.read_cached(path) is None
    lock.write_cached(path.with_name("y.lock"), "numpy==1.0\n")
    assert not path.with_name("y.lock").exists()
