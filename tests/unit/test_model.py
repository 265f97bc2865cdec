"""The nouns are frozen, and say what they are."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, asdict, fields, is_dataclass
from pathlib import PurePosixPath

import pytest

from clusterctl import clock, events, model, notes, service
from clusterctl.config import ini, settings, starcluster, validation
from clusterctl.environment import lock
from clusterctl.identity import endpoints, known_hosts
from clusterctl.providers import money
from clusterctl.providers.ec2 import instance_reader
from clusterctl.providers.ec2.launch import context, fleet_requests
from clusterctl.providers.ec2.pricing import quotas, quote, spending
from clusterctl.testing import fake_node

MODULES = (
    clock,
    events,
    model,
    notes,
    service,
    ini,
    settings,
    starcluster,
    validation,
    lock,
    endpoints,
    known_hosts,
    money,
    instance_reader,
    context,
    fleet_requests,
    quotas,
    quote,
    spending,
)


def test_the_text_of_a_market_is_what_configs_journals_and_programs_have():
    markets = list(model.Market)
    assert [str(market) for market in markets] == ["spot", "spot-with-fallback", "on-demand", ""]
    assert [f"{market}" for market in markets] == [market.value for market in markets]
    assert json.dumps({"market": markets}, indent=1) == json.dumps({"market": [*map(str, markets)]}, indent=1)
    assert model.Market("spot") == "spot", "plugins of old compare it with a text"


def test_the_master_is_known_by_its_alias():
    assert fake_node("master").is_master
    assert not fake_node("node001").is_master


def test_every_noun_is_frozen():
    nouns = {
        noun
        for module in MODULES
        for noun in vars(module).values()
        if is_dataclass(noun) and isinstance(noun, type) and noun.__module__ == module.__name__
    }
    assert len(nouns) >= 30
    for noun in nouns:
        made = object.__new__(noun)
        with pytest.raises(FrozenInstanceError):
            setattr(made, fields(noun)[0].name, "x")


def test_a_layout_is_paths_of_the_node_not_of_the_laptop():
    assert all(isinstance(path, PurePosixPath) for path in asdict(fake_node().layout).values())


def test_a_service_is_one_instance_with_the_number_0_unless_it_says_more():
    described = service.Service("x", ("program",), PurePosixPath("/srv"))
    assert (described.count, described.first, described.whole_group) == (1, 0, False)
