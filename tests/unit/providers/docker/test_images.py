"""Images of nodes: built, baked, found and removed, on a real engine."""

from __future__ import annotations

import io
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from clusterctl.errors import ProviderError
from clusterctl.events import SILENT
from clusterctl.providers.docker import DockerProvider
from clusterctl.providers.docker.images import NODE_IMAGE
from clusterctl.providers.images import ImageSource

from ....support.containers import run
from ....support.docker_engine import no_journal
from ....support.provider_contract import plan_for


@pytest.mark.docker
@pytest.mark.timeout(600)  # the image is made by whoever needs it first
class TestImages:
    def test_an_image_that_is_not_there_or_not_ours_is_refused_with_what_makes_it(self, docker_image, docker_api):
        usual = DockerProvider(os.environ, owner="test", journal=no_journal, image="clusterctl-node-test:none")
        (problem,) = usual.check(plan_for("master"))
        assert problem.remedy == "make it: `clusterctl image build`"
        foreign = bare_image(docker_api)
        try:
            plan = plan_for("master")
            plan = replace(plan, nodes=(replace(plan.nodes[0], image=foreign),))
            (problem,) = DockerProvider(os.environ, owner="test", journal=no_journal, image=docker_image).check(plan)
        finally:
            docker_api.remove_image(foreign)
        assert "was not made for nodes" in problem.message
        assert f"image build --base {foreign}" in problem.remedy

    def test_an_image_is_baked_found_and_has_nothing_of_its_builder(
        self, make, provider, key, docker_api, docker_image
    ):
        (builder,) = make("master")
        run(builder, key, "echo baked >/opt/mark")
        assert provider.find_image("", "0123abcd") == ""
        name = provider.save_image("lab", "", "0123abcd")
        try:
            assert name.startswith("clusterctl-baked:lab-")
            assert provider.find_image("", "0123abcd") == provider.find_image(docker_image, "0123abcd") == name
            assert provider.find_image("", "other") == ""
            (image,) = [image for image in provider.list_images() if image.name == name]
            assert image.content == "0123abcd"
            assert image.size_gb > 0
            provider.destroy("lab")
            assert provider.nodes() == []
            plan = plan_for("master")
            plan = replace(plan, nodes=(replace(plan.nodes[0], image=name),))
            assert provider.check(plan) == []
            labels = docker_api.inspect_image(name)["Config"]["Labels"]
            assert builder.host_key not in labels.values()
            (node,) = provider.create(plan, public_key=f"ssh-ed25519 {key.get_base64()}")
            assert run(node, key, "cat /opt/mark").strip() == "baked"
            provider.destroy("lab")
        finally:
            provider.remove_image(name)
        provider.remove_image(name)
        assert provider.find_image("", "0123abcd") == ""

    def test_only_baked_images_are_removed(self, provider, docker_image):
        with pytest.raises(ProviderError, match="is no baked image"):
            provider.remove_image(docker_image)

    def test_building_again_leaves_no_image_without_a_name(self, provider, docker_api, docker_image, tmp_path):
        built = []
        for content in ("a", "b"):
            (tmp_path / "ca.crt").write_text(content)
            source = ImageSource(base=docker_image, certificates=(tmp_path / "ca.crt",), name="clusterctl-test-again")
            assert provider.build_image(source, SILENT) == "clusterctl-test-again"
            built.append(docker_api.inspect_image("clusterctl-test-again")["Id"])
        docker_api.remove_image("clusterctl-test-again")
        assert len({*built}) == 2
        # Not all that have no name: other tests build images meanwhile.
        assert not {*built} & {image["Id"] for image in docker_api.images(all=True)}

    def test_a_build_that_fails_says_why(self, provider):
        source = ImageSource(base="clusterctl.invalid/none:1", name="clusterctl-test-never")
        with pytest.raises(ProviderError, match="could not") as caught:
            provider.build_image(source, SILENT)
        assert "--rootfs" in caught.value.remedy

    def test_a_file_that_is_no_root_file_system_is_refused(self, provider, tmp_path):
        (tmp_path / "x.tar").write_text("no tar")
        with pytest.raises(ProviderError, match=r"import"):
            provider.build_image(ImageSource(rootfs=tmp_path / "x.tar", name="clusterctl-test-never"), SILENT)


def bare_image(api) -> str:
    """An image with one empty file in it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("empty"))
    api.import_image_from_data(buffer.getvalue(), repository="clusterctl-test-bare", tag="latest")
    return "clusterctl-test-bare:latest"


def test_the_usual_image_has_a_name_that_is_said_in_the_docs():
    assert NODE_IMAGE in (Path(__file__).parents[4] / "docs/howto/docker.md").read_text(encoding="utf-8")
