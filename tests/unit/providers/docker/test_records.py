"""What is known of a node is kept as labels of its container."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import PurePosixPath

import pytest

from clusterctl.model import Facet, NodeState
from clusterctl.providers.docker import records
from clusterctl.providers.docker.records import Container, Record

from ....support.containers import RECORD, inspected


class TestRecords:
    def test_what_is_known_of_a_node_survives_as_labels_and_holds_no_secret(self):
        labels = RECORD.to_labels()
        assert Record.from_labels(labels) == RECORD
        assert all(key.startswith("clusterctl.") for key in labels)
        assert set(records.blank_labels()) == set(labels)

    def test_a_node_is_reached_on_this_computers_loopback_and_by_others_on_its_own_network(self):
        node = records.parse_container(inspected()).to_node()
        assert (node.alias, node.cluster, node.user, node.address, node.port) == (
            "node001",
            "lab",
            "root",
            "127.0.0.1",
            12345,
        )
        assert node.private_address == "172.18.0.3"
        assert node.layout.home == PurePosixPath("/home/ann")
        assert node.facets == {Facet.MACHINE, Facet.SHARED_HOME, Facet.SHARED_VOLUMES, Facet.SHARED_CACHE}
        assert node.cores == 2

    @pytest.mark.parametrize(
        ("policy", "stops"), [("on-failure", True), ("no", True), ("unless-stopped", False), ("", False)]
    )
    def test_one_that_its_engine_starts_again_in_any_case_does_not_stop_itself(self, policy, stops):
        node = records.parse_container(inspected(HostConfig={"RestartPolicy": {"Name": policy}})).to_node()
        assert (Facet.STOPS_ITSELF in node.facets) == stops

    def test_each_boot_of_a_machine_has_an_id_of_its_own(self):
        later = {"State": {"Status": "running", "StartedAt": "2026-01-01T00:09:00.123456789Z"}}
        before = records.parse_container(inspected()).to_node()
        after = records.parse_container(inspected(**later)).to_node()
        assert (after.id != before.id, after.boot_id != before.boot_id) == (True, True)
        assert after.machine_id == before.machine_id
        assert after.launched_at == datetime(2026, 1, 1, 0, 9, tzinfo=timezone.utc)

    @pytest.mark.parametrize(
        ("status", "state"),
        [
            ("running", NodeState.RUNNING),
            ("restarting", NodeState.PENDING),
            ("exited", NodeState.STOPPED),
            ("paused", NodeState.STOPPED),
            ("created", NodeState.STOPPED),
            ("removing", NodeState.GONE),
            ("dead", NodeState.GONE),
        ],
    )
    def test_states_are_those_of_every_provider(self, status, state):
        container = records.parse_container(inspected(status))
        assert container.to_node().state == state
        assert container.is_running == (status in {"running", "restarting"})

    def test_the_master_comes_first_in_each_cluster(self):
        found = [
            Container("1", "running", "", frozenset(), replace(RECORD, cluster=cluster, alias=alias))
            for cluster, alias in [("two", "master"), ("one", "alpha"), ("one", "master")]
        ]
        assert [(c.record.cluster, c.record.alias) for c in records.sort_containers(found)] == [
            ("one", "master"),
            ("one", "alpha"),
            ("two", "master"),
        ]
