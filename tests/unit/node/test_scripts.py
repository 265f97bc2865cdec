"""What scripts say of themselves: changes, notes, facts, refusals."""

from __future__ import annotations

import pytest

from clusterctl.api import RemoteError, run_reported
from clusterctl.testing import fake_cluster


def failure(status, output):
    return RemoteError(
        f"master: s ended with status {status}:\n{output}", remedy="see the log", status=status, output=output
    )


def test_changes_and_facts_are_returned_and_notes_are_told(tmp_path):
    said = "changed: /etc/hosts\nfact: uid 10000\nwords\nnote: it has no mdadm\nchanged: user me\nfact: key a b c\n"
    cluster = fake_cluster(tmp_path, answers={"a plugin: x": said})
    report = run_reported(cluster, cluster.master, "true", name="a plugin: x")
    assert report.changed == ("/etc/hosts", "user me")
    assert report.facts == {"uid": "10000", "key": "a b c"}
    assert cluster.said == ["master: it has no mdadm"]
    assert cluster.ran[0].sudo, "a machine's script needs root"


def test_a_refusal_is_in_the_words_of_the_script(tmp_path):
    answer = failure(65, "mkfs says hello\nerror: disk /dev/sdb is blank\ntry: set FORMAT = yes\n")
    cluster = fake_cluster(tmp_path, answers={"s": answer})
    with pytest.raises(RemoteError) as caught:
        run_reported(cluster, cluster.node("1"), "x", name="s")
    assert (caught.value.message, caught.value.remedy) == ("node001: disk /dev/sdb is blank", "set FORMAT = yes")
    assert (caught.value.node, caught.value.status) == ("node001", 65)


def test_any_other_failure_stays_as_it_is(tmp_path):
    answer = failure(2, "error: of somebody else's program\n")
    cluster = fake_cluster(tmp_path, answers={"s": answer})
    with pytest.raises(RemoteError) as caught:
        run_reported(cluster, cluster.master, "x", name="s")
    assert caught.value is answer


def test_a_refusal_without_words_keeps_those_of_the_connection(tmp_path):
    cluster = fake_cluster(tmp_path, answers={"s": failure(65, "")})
    with pytest.raises(RemoteError, match="ended with status 65") as caught:
        run_reported(cluster, cluster.master, "x", name="s")
    assert caught.value.remedy == "see the log"
