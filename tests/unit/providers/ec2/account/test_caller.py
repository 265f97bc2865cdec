"""The owner of what we make is who the account takes us for, and no computer."""

from __future__ import annotations

import threading

import pytest

from clusterctl.providers.ec2 import tags
from clusterctl.providers.ec2.account import caller
from clusterctl.providers.ec2.account.caller import Caller, describe_arn

from .....support.ec2_lab import plan_of
from .....support.fake_aws import FakeAws, refused

ARNS = {
    "arn:aws:iam::123456789012:user/grace": "user/grace",
    "arn:aws:iam::123456789012:user/lab/grace": "user/lab/grace",
    "arn:aws:iam::123456789012:root": "root",
    "arn:aws-cn:iam::123456789012:user/grace": "user/grace",
    "arn:aws:sts::123456789012:assumed-role/Admin/grace@example.org": "role/Admin/grace@example.org",
    "arn:aws:sts::123456789012:assumed-role/AWSReservedSSO_Lab_0123456789abcdef/grace": "role/Lab/grace",
    "arn:aws:sts::123456789012:assumed-role/builder/i-0123456789abcdef0": "role/builder/i-0123456789abcdef0",
    "arn:aws:sts::123456789012:federated-user/grace": "federated-user/grace",
    "arn:aws:iam::123456789012:user/it's": "user/it-s",
}


@pytest.mark.parametrize(("arn", "owner"), ARNS.items(), ids=ARNS.values())
def test_an_arn_is_read_as_who_it_is(arn, owner):
    assert describe_arn(arn) == owner
    aws = FakeAws({"get_caller_identity": {"Arn": arn}})
    assert Caller(aws, "me@here").name() == owner


@pytest.mark.parametrize("answer", [refused(), {}, {"Arn": ""}])
def test_where_the_account_does_not_say_it_is_the_user_here(answer):
    assert Caller(FakeAws({"get_caller_identity": answer}), "me@here").name() == "me@here"


def test_it_is_asked_once_and_beside_other_calls():
    may_answer = threading.Event()

    def answer():
        assert may_answer.wait(30)
        return {"Arn": "arn:aws:iam::1:user/grace"}

    aws = FakeAws({"get_caller_identity": answer})
    asking = Caller(aws, "me@here")
    asking.begin()  # returns while the account is silent
    asking.begin()
    may_answer.set()
    assert [asking.name(), asking.name()] == ["user/grace"] * 2
    assert len(aws.asked("get_caller_identity")) == 1


def test_an_account_that_stays_silent_keeps_nobody(monkeypatch):
    monkeypatch.setattr(caller, "_PATIENCE_S", 0.0)
    may_end = threading.Event()
    asking = Caller(FakeAws({"get_caller_identity": lambda: may_end.wait(30)}), "me@here")
    try:
        assert asking.name() == "me@here"
    finally:
        may_end.set()


def test_what_is_launched_has_the_owner_that_the_account_names(lab):
    lab.create(plan_of(2))
    owners = {tags.tags_of(instance)[tags.OWNER] for instance in lab.instances()}
    assert owners == {describe_arn(lab.cloud.client("sts").get_caller_identity()["Arn"])}
    assert lab.owner not in owners
