"""Where the engine is, and what is said when there is none."""

from __future__ import annotations

import hashlib
import json
import socket

import pytest

from clusterctl.errors import ProviderError
from clusterctl.providers.docker import DockerProvider, engine

from ....support.docker_engine import no_journal
from ....support.provider_contract import plan_for


class TestWhereTheEngineIs:
    @pytest.fixture
    def context(self, tmp_path):
        folder = tmp_path / ".docker"
        meta = folder / "contexts" / "meta" / hashlib.sha256(b"desktop").hexdigest()
        meta.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"currentContext": "desktop"}))
        (meta / "meta.json").write_text(json.dumps({"Endpoints": {"docker": {"Host": "unix:///of/desktop.sock"}}}))
        return {"HOME": str(tmp_path)}

    def test_the_environment_comes_before_the_context_in_use(self, context):
        assert engine.engine_address(context) == "unix:///of/desktop.sock"
        assert engine.engine_address({**context, "DOCKER_HOST": "unix:///named.sock"}) == "unix:///named.sock"

    def test_a_context_that_is_default_or_unreadable_is_none(self, context, tmp_path):
        assert engine.engine_address({**context, "DOCKER_CONTEXT": "default"}).startswith("unix:///var/run/")
        assert engine.engine_address({**context, "DOCKER_CONTEXT": "gone"}).startswith("unix:///var/run/")
        (tmp_path / ".docker" / "config.json").write_text("no json")
        assert engine.engine_address(context).startswith("unix:///var/run/")

    @pytest.mark.parametrize("where", ["tcp://192.0.2.1:2375", "ssh://me@elsewhere", "tcp://elsewhere:2376"])
    def test_one_on_another_computer_is_refused(self, where):
        provider = DockerProvider({"DOCKER_HOST": where}, owner="me", journal=no_journal)
        (problem,) = provider.check(plan_for("master"))
        assert "is not on this computer" in problem.message
        assert "DOCKER_HOST" in problem.remedy
        with pytest.raises(ProviderError, match="not on this computer"):
            provider.nodes()

    def test_without_one_the_error_says_how_to_get_one_and_that_local_needs_none(self, tmp_path):
        provider = DockerProvider({"DOCKER_HOST": f"unix://{tmp_path}/none.sock"}, owner="me", journal=no_journal)
        (problem,) = provider.check(plan_for("master"))
        assert f"there is no Docker engine here: no {tmp_path}/none.sock" in problem.message
        assert problem.remedy.startswith("start it: ")
        assert "Docker Desktop" in problem.remedy
        assert "PROVIDER = local needs no Docker" in problem.remedy
        for ask in (
            provider.nodes,
            lambda: provider.destroy("lab"),
            lambda: provider.stop("lab"),
            provider.list_images,
        ):
            with pytest.raises(ProviderError, match="there is no Docker engine here"):
                ask()

    def test_a_socket_that_is_closed_to_the_user_names_the_group(self, tmp_path, monkeypatch, allow_loopback):
        path = tmp_path / "closed.sock"
        path.touch()

        def closed(*_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(engine.socket.socket, "connect", closed)
        (problem,) = DockerProvider({"DOCKER_HOST": f"unix://{path}"}, owner="me", journal=no_journal).check(
            plan_for("master")
        )
        assert f"{path} is closed to you" in problem.message
        assert "usermod -aG docker" in problem.remedy
        assert "local" in problem.remedy

    def test_one_that_has_ended_is_to_be_started(self, tmp_path, allow_loopback):
        path = tmp_path / "docker.sock"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
        (problem,) = DockerProvider({"DOCKER_HOST": f"unix://{path}"}, owner="me", journal=no_journal).check(
            plan_for("master")
        )
        assert "does not answer" in problem.message
        assert problem.remedy.startswith("start it: ")
