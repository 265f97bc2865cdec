"""image build, bake, list, remove."""

from __future__ import annotations

import pytest

from clusterctl.cli.setup.image import ImageName
from clusterctl.errors import ProviderError
from clusterctl.testing import FakeImageProvider
from clusterctl.wiring import providers

from ....support.priced import PricedImageProvider


@pytest.fixture
def bakery(laptop, monkeypatch):
    laptop.provider = FakeImageProvider(name="local")
    monkeypatch.delitem(providers._PROVIDERS, "docker")
    return laptop


@pytest.fixture
def image(run, bakery):
    said = run("image", "bake", "mine", "--json")
    assert said.status == 0, said.err
    return said.json["image"]


class TestBuild:
    def test_what_it_is_built_on_is_handed_down_and_progress_is_shown(self, run, bakery, tmp_path):
        for name in ("root.tar", "a.crt", "b.crt"):
            (tmp_path / name).touch()
        said = run(
            *("image", "build", "--rootfs", tmp_path / "root.tar", "-n", "mine"),
            *("--ca-certificates", tmp_path / "a.crt", "--ca-certificates", tmp_path / "b.crt"),
        )
        assert said.status == 0
        assert said.out.splitlines()[:2] == ["    Step 1 of 2", "    Step 2 of 2"]
        assert ">>> mine is built (" in said.out
        (source,) = bakery.provider.sources
        assert source.rootfs == tmp_path / "root.tar"
        assert source.certificates == (tmp_path / "a.crt", tmp_path / "b.crt")
        assert (source.base, source.name) == ("", "mine")

    def test_json_is_all_there_is_on_stdout(self, run, bakery):
        said = run("image", "build", "--base", "ubuntu:24.04", "--json")
        assert said.json["image"] == "usual"
        assert "Step 1 of 2" in said.err
        assert bakery.provider.sources[0].base == "ubuntu:24.04"

    def test_two_bases_are_refused_and_so_is_a_file_that_is_not_there(self, run, bakery, tmp_path):
        (tmp_path / "root.tar").touch()
        said = run("image", "build", "--base", "x", "--rootfs", tmp_path / "root.tar")
        assert said.status == 2
        assert "built on one of them" in said.err
        said = run("image", "build", "--rootfs", tmp_path / "none.tar")
        assert said.status == 2
        assert f"there is no file {tmp_path}/none.tar" in said.err
        assert bakery.provider.sources == []

    def test_without_an_engine_the_error_says_what_to_do(self, run, laptop):
        said = run("image", "build")
        assert said.status == 1
        assert "error: there is no Docker engine here" in said.err
        assert "PROVIDER = local needs no Docker" in said.err


class TestBake:
    def test_it_names_the_image_and_says_what_is_done_with_it(self, run, bakery):
        said = run("image", "bake", "mine")
        assert said.status == 0, said.err
        assert "is baked (" in said.out
        assert "`clusterctl start` uses it where it matches" in said.out
        assert not bakery.provider.machines
        assert not (bakery.home / "clusters" / "bake-mine").exists()

    def test_again_there_is_nothing_to_do(self, run, image):
        again = run("image", "bake", "mine")
        assert f">>> {image} has all of it already; nothing to do" in again.out
        assert run("image", "bake", "mine", "--json").json == {
            "image": image,
            "new": False,
            "seconds": pytest.approx(0, abs=10),
        }

    def test_a_provider_without_images_and_a_bad_name_are_refused(self, run, laptop):
        said = run("image", "bake", "mine")
        assert said.status == 2
        assert "do not start from images" in said.err
        assert run("image", "bake", "no/name").status == 2

    def test_a_builder_that_costs_is_asked_about(self, run, bakery):
        bakery.provider = PricedImageProvider(name="local")
        said = run("image", "bake", "mine")
        assert said.status == 2
        assert "Start 1 node for" in said.err
        assert not bakery.provider.baked
        assert run("image", "bake", "mine", "--yes").status == 0

    def test_start_uses_it(self, run, image, bakery):
        said = run("start", "lab")
        assert f"Using the baked image {image}" in said.out
        assert set(bakery.provider.images_of.values()) == {image}


class TestListAndRemove:
    def test_none_is_said_with_what_makes_one(self, run, bakery):
        assert "No baked images. `clusterctl image bake NAME`" in run("image", "list").out
        assert run("image", "list", "--json").json == []

    def test_each_has_its_provider_size_and_time(self, run, image):
        line = run("image", "list").out.splitlines()[1]
        assert line.split() == [image, "local", "1.00", "GB", "2026-01-01T00:00:00+00:00"]
        (found,) = run("image", "list", "--json").json
        assert (found["name"], found["provider"], found["size_gb"]) == (image, "local", 1.0)

    def test_one_that_does_not_answer_hides_no_other(self, run, image, monkeypatch):
        def fail():
            raise ProviderError("nobody is there", remedy="wait")

        silent = FakeImageProvider(name="silent")
        silent.list_images = fail
        monkeypatch.setitem(providers._PROVIDERS, "silent", lambda _: silent)
        said = run("image", "list")
        assert said.status == 0
        assert image in said.out
        assert "*** WARNING - nobody is there" in said.err

    def test_without_an_engine_the_list_is_an_error(self, run, laptop):
        said = run("image", "list")
        assert said.status == 1
        assert "there is no Docker engine here" in said.err

    def test_removing_asks_first_and_one_that_is_gone_is_success(self, run, image, bakery):
        assert run("image", "remove", image).status == 2
        assert image in bakery.provider.baked
        said = run("image", "remove", "-y", image, "other")
        assert said.status == 0
        assert said.out.splitlines() == [f">>> {image} is gone", ">>> there is no baked image other"]
        assert not bakery.provider.baked

    def test_names_are_completed_and_nothing_where_nobody_answers(self, run, image, bakery, monkeypatch):
        complete = ImageName().shell_complete
        assert [item.value for item in complete(None, None, "bake-m")] == [image]
        assert complete(None, None, "x") == []

        def fail():
            raise ProviderError("nobody is there", remedy="wait")

        bakery.provider.list_images = fail
        assert complete(None, None, "") == []
