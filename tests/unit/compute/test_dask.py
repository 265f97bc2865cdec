"""A client of Dask: what is said where there is none, and what of a search travels."""

from __future__ import annotations

import pickle
import sys
from importlib.metadata import PackageNotFoundError
from types import ModuleType, SimpleNamespace

import pytest

from clusterctl.compute.learning import dask
from clusterctl.errors import StateError, UsageError

DOCUMENT = {"host": "127.0.0.1", "scheduler": 1, "ca": "a\n", "cert": "b\n", "key": "c\n", "version": "2026.8.0"}


@pytest.fixture
def installed(monkeypatch):
    def installed(version):
        def find(name):
            if version is None:
                raise PackageNotFoundError(name)
            return version

        monkeypatch.setattr(dask, "version", find)
        monkeypatch.setattr(dask, "find_spec", lambda name: None)

    return installed


def test_a_cluster_without_dask_says_how_it_gets_it(installed):
    installed("2026.8.0")
    with pytest.raises(StateError, match="this cluster has no Dask") as caught:
        dask.open_dask(None, {})
    assert "add dask to the PLUGINS" in caught.value.remedy


def test_a_laptop_without_dask_is_told_what_to_install(installed):
    installed(None)
    with pytest.raises(UsageError, match="Dask is not installed here") as caught:
        dask.open_dask(DOCUMENT, {})
    assert "distributed==2026.8.0" in caught.value.remedy


def test_another_version_is_refused_with_both_ways_out(installed):
    installed("2026.1.0")
    with pytest.raises(StateError, match=r"distributed 2026\.1\.0 and the cluster runs 2026\.8\.0") as caught:
        dask.open_dask(DOCUMENT, {})
    assert "pip install distributed==2026.8.0" in caught.value.remedy
    assert "clusterctl start" in caught.value.remedy


def test_a_scheduler_that_is_silent_is_an_error_of_ours(installed, monkeypatch):
    installed("2026.8.0")
    asked = []

    def client(address, **options):
        asked.append((address, vars(options["security"]), options["timeout"]))
        raise OSError("timed out")

    packages = {name: ModuleType(name) for name in ("distributed", "distributed.security")}
    packages["distributed"].Client = client
    packages["distributed.security"].Security = SimpleNamespace
    for name, module in packages.items():
        monkeypatch.setitem(sys.modules, name, module)
    with pytest.raises(StateError, match="does not answer at tls://127"):
        dask.open_dask(DOCUMENT, {"timeout": 3})
    ((address, told, timeout),) = asked
    assert (address, timeout) == ("tls://127.0.0.1:1", 3)
    assert told == {
        "tls_ca_file": "a\n",
        "require_encryption": True,
        **{f"tls_{role}_{part}": DOCUMENT[part] for role in ("client", "worker") for part in ("cert", "key")},
    }


class Task:
    """Stands for scikit-learn's wrapper of a task."""


def test_filters_of_warnings_of_the_laptops_own_packages_stay_here():
    task = Task()
    foreign = type("Foreign", (Warning,), {"__module__": "only_here"})
    task.function = "fit"
    task.warning_filters = [("default", None, foreign, None, 0), ("error", None, Warning, None, 0)]
    make, arguments, state = dask._reduce_search(task)
    copied = make(*arguments)
    vars(copied).update(state)
    assert copied.warning_filters == [("error", None, Warning, None, 0)]
    assert (copied.function, len(task.warning_filters)) == ("fit", 2)
    assert pickle.loads(pickle.dumps(make)) is make  # what makes it anew travels, too
