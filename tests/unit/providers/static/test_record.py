"""What is kept of the hosts that a cluster has taken."""

from __future__ import annotations

import os
import stat

import pytest

from clusterctl.errors import ProviderError

from ....support.provider_contract import plan_for
from ....support.static_hosts import FAR, provider_of


@pytest.mark.usefixtures("gate")
class TestRecord:
    @pytest.fixture
    def taken(self, root):
        provider = provider_of(root, *FAR)
        provider.create(plan_for("master"), public_key="")
        return root / "lab.json"

    def test_it_is_for_its_owner_only(self, taken, root):
        assert stat.S_IMODE(taken.stat().st_mode) == 0o600
        assert stat.S_IMODE(root.stat().st_mode) == 0o700
        assert {path.name for path in root.iterdir()} == {"lab.json", "lab.copy", "lock"}

    @pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"user": "", "shared_home": false, "members": {"a": {}}}'])
    def test_one_that_is_not_whole_is_replaced_by_its_copy_and_named_if_both_are_damaged(self, taken, root, text):
        before = provider_of(root).nodes("lab")
        taken.write_text(text)
        assert provider_of(root).nodes("lab") == before
        taken.unlink()
        assert provider_of(root).nodes("lab") == before
        (root / "lab.copy").write_text(text)
        with pytest.raises(ProviderError, match=r"record of the hosts of lab cannot be read: .*lab\.json") as caught:
            provider_of(root).nodes("lab")
        assert f"delete {taken}" in caught.value.remedy
        assert provider_of(root).nodes() == []
        made = provider_of(root, *FAR).create(plan_for("master", cluster="other"), public_key="")
        assert [node.cluster for node in made] == ["other"]  # the hosts themselves say whose they are

    def test_its_end_takes_both_files(self, taken, root):
        provider_of(root).destroy("lab")
        assert [path.name for path in root.iterdir()] == ["lock"]

    def test_a_record_that_cannot_be_written_leaves_the_old_one(self, taken, root, monkeypatch):
        before = taken.read_text()

        def full(*_, **__):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(ProviderError, match="cannot write"):
            provider_of(root, *FAR).create(plan_for("master", "node001"), public_key="")
        assert taken.read_text() == before
        assert {path.name for path in root.iterdir()} == {"lab.json", "lab.copy", "lock"}

    @pytest.mark.parametrize("name", ["../lab", "", "/lab", ".hidden"])
    def test_what_cannot_name_a_cluster_reads_and_writes_no_file(self, root, name):
        with pytest.raises(ProviderError, match="cannot be a cluster's name"):
            provider_of(root).nodes(name)
        with pytest.raises(ProviderError, match="cannot be a cluster's name"):
            provider_of(root).destroy(name)
