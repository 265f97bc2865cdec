"""How many threads the libraries of an engine may start."""

from __future__ import annotations

import pytest
from clusterctl_plugins.ipcluster.daemons import THREAD_LIMITS, engine_service, thread_limits
from clusterctl_plugins.ipcluster.options import Options

from clusterctl.testing import fake_cluster, fake_node


@pytest.mark.parametrize(
    ("cores", "engines", "threads"), [(8, 8, 1), (8, 2, 4), (8, 3, 2), (2, 4, 1), (None, 1, 1), (8, 0, 8)]
)
def test_the_cores_are_divided_where_the_user_has_set_nothing(cores, engines, threads):
    limits = thread_limits(fake_node("master", cores=cores), engines, Options())
    assert limits == {"defaults": dict.fromkeys(THREAD_LIMITS, str(threads))}


def test_a_number_that_is_told_counts_more_than_what_is_set():
    limits = thread_limits(fake_node("master", cores=8), 2, Options(threads_per_engine=7))
    assert limits == {"environment": dict.fromkeys(THREAD_LIMITS, "7")}


def test_another_number_starts_engines_anew_and_the_default_does_not(tmp_path):
    def version(**options):
        cluster = fake_cluster(tmp_path, nodes=[fake_node("master", cores=8)])
        return engine_service(cluster, cluster.master, range(2), Options(**options)).version

    assert version() == version(threads_per_engine="auto")
    assert len({version(), version(threads_per_engine=1), version(threads_per_engine=2)}) == 3


@pytest.mark.parametrize("option", ["engines_per_node", "master_engines", "threads_per_engine"])
@pytest.mark.parametrize("value", [-1, 1025, "many", 1.5])
def test_each_number_has_its_range(option, value):
    with pytest.raises(ValueError, match=option):
        Options(**{option: value})
