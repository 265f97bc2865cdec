"""Variables of the template and of plugins: engines have them, and another value starts engines anew."""

from __future__ import annotations

import json
import re

import pytest
from clusterctl_plugins.ipcluster import IPCluster
from clusterctl_plugins.ipcluster.daemons import engine_service, restart_token, start_programs
from clusterctl_plugins.ipcluster.notebook import notebook_services
from clusterctl_plugins.ipcluster.options import Options

from clusterctl.api import Request
from clusterctl.testing import fake_cluster, fake_node


@pytest.fixture
def lab(tmp_path):
    def make(**variables):
        nodes = [fake_node("master", cores=8)]
        return fake_cluster(tmp_path, nodes=nodes, request=Request(environment=variables))

    return make


def program_values(cluster, **options):
    text = start_programs(cluster, cluster.master, range(2), Options(**options))["ipengine.py"]
    return json.loads(eval(re.search(r"run\(program, (.*)\)$", text, re.MULTILINE)[1]))


def test_engines_have_them_and_they_say_more_than_what_is_divided(lab):
    values = program_values(lab(TITLE="a, b", OMP_NUM_THREADS="3"))
    assert values["environment"] == {"TITLE": "a, b", "OMP_NUM_THREADS": "3"}
    assert values["defaults"]["OMP_NUM_THREADS"] == "4"


def test_of_threads_the_option_about_them_says_more(lab):
    values = program_values(lab(OMP_NUM_THREADS="3"), threads_per_engine=1)
    assert values["environment"]["OMP_NUM_THREADS"] == "1"


def test_another_value_starts_engines_anew_and_none_is_as_before(lab):
    def version(cluster):
        return engine_service(cluster, cluster.master, range(2), Options()).version

    assert version(lab()) == f"{restart_token(lab(), Options())} "  # what an earlier version wrote
    versions = [version(lab(**variables)) for variables in ({}, {"A": "1"}, {"A": "2"}, {"A": "2", "B": ""})]
    assert len(set(versions)) == 4


def test_the_user_is_told_that_engines_start_anew(lab):
    one, before = IPCluster(Options()), lab(A="1")
    assert one._engines_of(before) == one._engines_of(lab(A="1"))
    assert one._engines_of(before) != one._engines_of(lab(A="2"))
    assert one._engines_of(lab()) == f"{restart_token(lab(), Options())} auto"


def test_a_notebook_has_them_and_is_not_restarted_for_none(lab):
    def notebook(cluster):
        (service,) = notebook_services(cluster, cluster.master, Options(enable_notebook=True))
        return service.environment

    assert notebook(lab(TITLE="a b"))["TITLE"] == "a b"
    assert set(notebook(lab())) == {"IPYTHONDIR", "CLUSTERCTL_NODE"}
