"""`start --dry-run` and `start` take the same road up to the first request for a node."""

from __future__ import annotations

import socket

import pytest

from clusterctl.errors import ClusterctlError, ProviderError
from clusterctl.model import Problem
from clusterctl.operations import start, start_plan
from clusterctl.operations.start import start_cluster
from clusterctl.operations.start_plan import preview_start
from clusterctl.testing import FakeImageProvider

from ...support.priced import PricedImageProvider
from ...support.recording import of, recording


def files_below(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal_of(operation, context, **arguments):
    with pytest.raises(ClusterctlError) as caught:
        operation(context, **arguments)
    return type(caught.value), caught.value.message, caught.value.remedy


def test_both_make_their_plan_by_the_same_function(lab, log, monkeypatch):
    assert start.plan_start is start_plan.plan_start
    made = []

    def remember(*arguments, **options):
        plan, cluster = start_plan_before(*arguments, **options)
        made.append(plan)
        return plan, cluster

    start_plan_before = start_plan.plan_start
    monkeypatch.setattr(start_plan, "plan_start", remember)
    monkeypatch.setattr(start, "plan_start", remember)
    preview = preview_start(lab.parts(recording(log)))
    start_cluster(lab.parts(recording(log)))
    assert made == [preview.plan, preview.plan]


@pytest.mark.parametrize("again", [False, True])
def test_the_plan_that_is_shown_is_the_one_that_is_made(lab, log, again):
    lab.provider = FakeImageProvider()
    if again:
        start_cluster(lab.parts(recording(log), cluster_size=2))
        lab.provider.lose("lab", "node001")
    asked = []
    create = lab.provider.create

    def watch(plan, **options):
        asked.append(plan)
        return create(plan, **options)

    lab.provider.create = watch
    preview = preview_start(lab.parts(recording(log), cluster_size=2))
    assert preview.existing == (("master",) if again else ())
    start_cluster(lab.parts(recording(log), cluster_size=2))
    assert asked == [preview.plan]


class TestWhatStartRefusesIsRefusedWithTheSameWords:
    @pytest.fixture
    def agree(self, lab):
        """Both operations refuse this context, the dry run first and once more after the start."""

        def agree(make_context, **arguments):
            shown = refusal_of(preview_start, make_context(), **arguments)
            assert refusal_of(start_cluster, make_context(), **arguments) == shown
            assert refusal_of(preview_start, make_context(), **arguments) == shown
            assert not any(call.startswith("create") for call in lab.provider.calls)
            return shown[1]

        return agree

    def test_a_problem_that_the_provider_sees(self, lab, log, agree):
        lab.provider.problems = [Problem("too many", remedy="fewer"), Problem("no key", remedy="a key")]
        assert agree(lambda: lab.parts(recording(log))) == "too many\nno key"

    def test_a_plugin_that_cannot_prepare(self, lab, log, agree):
        assert "plugin b: ValueError: oh" in agree(lambda: lab.parts(recording(log, b={"prepare": ValueError("oh")})))

    def test_a_name_that_is_none(self, lab, log, agree):
        assert "cannot name a cluster" in agree(lambda: lab.parts(recording(log), name="-x"))

    def test_a_provider_that_does_not_answer(self, lab, log, agree, monkeypatch):
        def fail(cluster=None):
            raise ProviderError("no answer", remedy="wait")

        monkeypatch.setattr(lab.provider, "nodes", fail)
        assert agree(lambda: lab.parts(recording(log))) == "no answer"

    def test_another_size(self, lab, log, agree):
        start_cluster(lab.parts(recording(log), cluster_size=2))
        lab.provider.calls.clear()
        assert agree(lambda: lab.parts(recording(log)), explicit_size=3) == "lab exists and has 2 nodes"

    def test_another_command_that_is_at_work(self, lab, log, agree):
        start_cluster(lab.parts(recording(log)))
        lab.provider.calls.clear()
        with lab.parts(recording(log)).folder.exclusive_lock():
            assert "another clusterctl is at work on lab" in agree(lambda: lab.parts(recording(log)))


class TestADryRunChangesNothing:
    def test_of_a_new_cluster_nothing_is_left_on_this_computer(self, lab, log):
        lab.home.mkdir()
        preview_start(lab.parts(recording(log)))
        assert list(lab.home.iterdir()) == []
        assert lab.provider.machines == {}
        assert of(log, "prepare")
        assert not of(log, "join")

    def test_of_one_that_exists_all_files_stay_as_they_are(self, lab, log):
        context = lab.parts(recording(log))
        start_cluster(context)
        before = files_below(context.folder.path)
        preview_start(lab.parts(recording(log)))
        after = files_below(context.folder.path)
        lock = context.folder.path / "lock"
        assert {**before, lock: b""} == {**after, lock: b""}

    def test_neither_private_keys_nor_sockets_are_copied(self, lab, log, monkeypatch, allow_loopback):
        start_cluster(lab.parts(recording(log)))
        copied = []
        monkeypatch.setattr(start_plan, "run_prepare", lambda context, *_: copied.extend(context.folder.path.iterdir()))
        with socket.socket(socket.AF_UNIX) as special:
            special.bind(str(lab.home / "clusters" / "lab" / "s"))
            preview_start(lab.parts(recording(log)))
        assert "journal.jsonl" in {path.name for path in copied}
        assert not any("id_ed25519" in path.name or path.name == "s" for path in copied)


def test_prices_are_shown_of_what_does_not_exist_yet_and_nobody_is_asked(lab, log):
    lab.provider = PricedImageProvider(name="local")
    assert preview_start(lab.parts(recording(log))).estimate is not None
    start_cluster(lab.parts(recording(log)))
    assert preview_start(lab.parts(recording(log))).estimate is None
