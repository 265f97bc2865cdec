"""What nodes cost, as start, addnode, status and list show it; and the question before they are made."""

from __future__ import annotations

from decimal import Decimal

import pytest

from clusterctl.cli import money
from clusterctl.errors import ProviderError
from clusterctl.providers.money import Estimate, QuotedGroup

from ...support.priced import PricedProvider, span


@pytest.fixture
def priced(laptop):
    laptop.provider = PricedProvider(name="local")
    return laptop


class TestStart:
    def test_nobody_there_to_say_yes_starts_nothing(self, run, priced):
        said = run("start", "lab")
        assert said.status == 2
        (row,) = [line.split() for line in said.out.splitlines() if line.startswith("3 workers ")]
        assert row == ["3", "workers", "0.0300-0.0400", "0.0900-0.1200", "0.0900-0.1000", "67", "%"]
        assert "3 workers: c7i.large | c7a.large, spot up to $0.10 in here-1a, the cheapest" in said.out
        assert "Start 3 nodes for $0.091 to $0.12 an hour? Nobody is here to answer: add --yes" in said.err
        assert priced.provider.nodes("lab") == []
        assert run("list", "--json").json == []

    def test_no_starts_nothing(self, run, priced, terminal):
        said = run("start", "lab", stdin="n\n")
        assert said.status != 0
        assert priced.provider.nodes("lab") == []

    def test_yes_starts_it(self, run, priced, terminal):
        said = run("start", "lab", stdin="y\n")
        assert said.status == 0
        assert "In here-1, at the prices of now, in USD an hour:" in said.out
        assert "Start 3 nodes for" in said.out
        assert len(priced.provider.nodes("lab")) == 3

    def test_with_yes_nothing_is_asked_and_nothing_is_looked_up(self, run, priced):
        assert run("start", "lab", "--yes").status == 0
        assert priced.provider.estimated == []
        assert run("start", "lab").status == 0  # nothing new would be made

    def test_json_asks_on_stderr_and_answers_with_the_estimate(self, run, priced, terminal):
        said = run("start", "lab", "--json", stdin="y\n")
        assert said.json["estimate"]["hourly_usd"] == {"low": 0.0909, "high": 0.1209}
        assert "Start 3 nodes" in said.err

    def test_addnode_asks_too(self, run, priced):
        run("start", "lab", "--yes")
        assert run("addnode", "lab").status == 2
        assert len(priced.provider.nodes("lab")) == 3
        answer = run("addnode", "lab", "--yes", "--json").json
        assert (answer["joined"], answer["estimate"]) == (["node003"], None)


class TestDryRun:
    def test_it_shows_what_it_would_cost_and_asks_nothing(self, run, priced):
        said = run("start", "lab", "--dry-run")
        assert said.status == 0
        assert "In all: $0.091 to $0.12 an hour, $2.18 to $2.90 a day. On demand: $0.27 to $0.30 an hour." in said.out
        assert "nothing was created" in said.out

    def test_json_has_all_of_it(self, run, priced):
        estimate = run("start", "lab", "--dry-run", "--json").json["estimate"]
        (group,) = estimate["groups"]
        assert group == {
            "role": "worker",
            "count": 3,
            "types": ["c7i.large", "c7a.large"],
            "market": "spot",
            "zone": "here-1a",
            "each_usd": {"low": 0.03, "high": 0.04},
            "on_demand_usd": {"low": 0.09, "high": 0.1},
            "bid_usd": 0.1,
        }
        assert estimate["parts"] == [{"name": "root disks", "what": "3 x 8 GB gp3", "hourly_usd": 0.0009}]
        assert estimate["limits"] == [{"name": "spot, standard types", "needed": 6, "left": None}]
        assert estimate["notes"] == ["prices are of 2026-07-20"]

    def test_it_survives_that_nobody_can_be_asked(self, run, priced, monkeypatch):
        def fail(*_):
            raise ProviderError("there are no AWS credentials that work", remedy="log in")

        monkeypatch.setattr(priced.provider, "estimate_nodes", fail)
        said = run("start", "lab", "--dry-run")
        assert said.status == 0
        assert "nothing was created" in said.out
        assert "what it would cost is not known: there are no AWS credentials that work" in said.err

    def test_where_nothing_costs_there_is_no_estimate(self, run, laptop):
        assert run("start", "lab", "--dry-run", "--json").json["estimate"] is None


class TestInspect:
    def test_list_and_status_say_what_it_costs(self, run, priced):
        run("start", "lab", "--yes")
        for command in ("list", "status"):
            out = run(command).out
            assert "cost: $0.30 an hour, $0.43 so far" in out
            assert "note: disks are not known: refused" in out

    def test_json_too(self, run, priced):
        run("start", "lab", "--yes")
        expected = {"hourly_usd": 0.3, "so_far_usd": 0.43, "notes": ["disks are not known: refused"]}
        assert run("list", "--json").json[0]["cost"] == expected
        assert run("status", "--json").json["cost"] == expected


class TestWords:
    @pytest.mark.parametrize(
        ("usd", "text"),
        [
            ("0", "$0.00"),
            ("0.00001", "$0.00"),
            ("0.0123", "$0.012"),
            ("0.09", "$0.09"),
            ("0.0949", "$0.095"),
            ("0.0999", "$0.10"),
            ("0.426", "$0.43"),
            ("12.5", "$12.50"),
            ("1234.5", "$1234.50"),
        ],
    )
    def test_amounts(self, usd, text):
        assert money.format_dollars(Decimal(usd)) == text

    def test_what_is_not_known_is_not_counted_as_nothing(self):
        group = QuotedGroup("master", 1, ("zz.large",), "on-demand", "", None, None)
        lines = money.estimate_lines(Estimate("here", (group,), (), (), ()))
        assert lines[2].split() == ["1", "master", "unknown", "unknown"]
        assert lines[-1] == "In all: at least $0.00 an hour: not every price is known."

    def test_what_a_spot_instance_saves(self):
        group = QuotedGroup("worker", 2, ("c7i.large",), "spot", "here-1a", span("0.03"), span("0.10"))
        line = money.estimate_lines(Estimate("here", (group,), (), (), ()))[2]
        assert line.split()[2:] == ["0.0300", "0.0600", "0.1000", "70", "%"]

    def test_with_fallback_what_it_may_cost_at_most_is_said(self):
        group = QuotedGroup("worker", 2, ("c7i.large",), "spot-with-fallback", "", span("0.03"), span("0.10"))
        last = money.estimate_lines(Estimate("here", (group,), (), (), ()))[-1]
        assert last == "In all: $0.06 an hour, $1.44 a day. If no spot instance is to be had: $0.20 an hour."
