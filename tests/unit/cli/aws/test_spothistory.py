"""The command spothistory, on the stand-in."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from clusterctl_standin.faults import Unauthorized

from clusterctl.cli.aws import spothistory


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def test_figures_of_each_zone_the_cheapest_first(run, cloud):
    cloud.prices.set_spot("c7i.large", "us-east-1c", 0.01)
    said = run("spothistory", "c7i.large")
    assert said.status == 0
    head, _, headings, *rows = said.out.splitlines()
    assert head.startswith("us-east-1, spot prices in USD an hour, ")
    assert headings.split() == ["TYPE", "ZONE", "CURRENT", "MIN", "MEAN", "MAX"]
    assert rows[0].split()[:3] == ["c7i.large", "us-east-1c", "0.0100"]
    assert len(rows) == 5
    assert len(cloud.calls) == 1


def test_a_terminal_gets_a_chart_of_each(run, cloud, monkeypatch):
    monkeypatch.setattr(spothistory, "_is_terminal", lambda: True)
    out = run("shi", "c7i.large", "-z", "us-east-1a").out
    assert "c7i.large in us-east-1a: current $" in out
    assert "⠉" in out


def test_json_has_every_change(run, cloud):
    answer = run("shi", "c7i.large", "c7a.large", "-z", "us-east-1a", "-d", "2", "--json").json
    assert (answer["region"], answer["plot"]) == ("us-east-1", None)
    assert [(each["type"], each["zone"]) for each in answer["prices"]] == [
        ("c7i.large", "us-east-1a"),
        ("c7a.large", "us-east-1a"),
    ]
    first = answer["prices"][0]
    assert first["min_usd"] <= first["mean_usd"] <= first["max_usd"]
    assert first["changes"][-1]["usd"] == first["current_usd"]
    assert first["changes"][0]["time"] == answer["start"]


def test_plot_draws_a_file_named_after_the_type_or_as_said(run, cloud, tmp_path):
    assert "drawn: spothistory-c7i.large.svg" in run("shi", "c7i.large", "--plot").out
    assert (tmp_path / "spothistory-c7i.large.svg").read_text().startswith("<svg ")
    assert run("shi", "c7i.large", "-p", tmp_path / "mine.svg", "--json").json["plot"] == str(tmp_path / "mine.svg")
    assert (tmp_path / "mine.svg").exists()


def test_the_picture_has_the_price_on_demand_and_the_bid(run, cloud, tmp_path):
    assert run("shi", "c7i.large", "c7a.large", "-b", "0.05", "--plot", tmp_path / "a.svg").status == 0
    drawn = (tmp_path / "a.svg").read_text()
    for name in ("on demand c7i.large", "on demand c7a.large", "bid", "$0.0500"):
        assert f">{name}<" in drawn
    assert ">$0.00<" in drawn


def test_a_price_on_demand_that_is_not_told_is_left_out(run, cloud, tmp_path):
    cloud.faults.add(Unauthorized("GetProducts"))
    assert run("shi", "c7i.large", "-p", tmp_path / "a.svg").status == 0
    assert ">on demand<" in (tmp_path / "a.svg").read_text()  # by the table that is shipped


def test_another_region(run, cloud):
    assert run("shi", "c7i.large", "-r", "eu-west-1", "--json").json["region"] == "eu-west-1"


def test_a_time_that_is_over(run, cloud):
    start, end = (datetime.now(timezone.utc) - timedelta(days=days) for days in (10, 8))
    answer = run("shi", "c7i.large", "-s", f"{start:%Y-%m-%d}", "-e", f"{end:%Y-%m-%dT%H:%M}Z", "--json").json
    assert answer["start"] == f"{start:%Y-%m-%d}T00:00:00+00:00"
    assert answer["end"] == f"{end:%Y-%m-%dT%H:%M}:00+00:00"
    times = [change["time"] for each in answer["prices"] for change in each["changes"]]
    assert answer["start"] == min(times)
    assert max(times) <= answer["end"]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("c7i.large", "-d", "2", "-s", "2026-11-01"), "both say when it begins"),
        (("c7i.large", "-s", "yesterday"), "yesterday: not a time"),
        (("c7i.large", "-s", "2026-01-02", "-e", "2026-01-01"), "is not before"),
        (("c7i.large", "-p", "c7a.large"), "c7a.large is no SVG file"),
        (("c7i.large", "-b", "0.05"), "none is drawn"),
        (("c7i.large", "-b", "0", "-p", "a.svg"), "-b"),
        (("c7i.large", "-v"), "StarCluster's and is gone"),
        (("c7i.large", "--plot", "no/such/folder/x.svg"), "cannot write"),
        (("c7i.large", "-d", "91"), "91"),
        ((), "TYPE... is missing"),
    ],
)
def test_what_cannot_be_meant_is_refused(run, cloud, words, error):
    said = run("spothistory", *words)
    assert said.status == 2
    assert error in said.err


def test_a_type_or_a_zone_that_is_not_there(run, cloud):
    for words in (("zz9.large",), ("c7i.large", "-z", "mars-1a")):
        said = run("spothistory", *words)
        assert said.status == 1
        assert "try: name a type that this region has" in said.err


def test_a_template_that_is_wrong_does_not_matter(run, cloud, laptop, monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    laptop.config.write_text("[aws]\naws_region_name = eu-west-1\n[cluster x]\nprovider = nonsense\n")
    assert run("spothistory", "c7i.large", "--json").json["region"] == "eu-west-1"
