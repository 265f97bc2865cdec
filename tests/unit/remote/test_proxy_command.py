"""What is told of a program that leads to a node and does not. The program itself: tests/e2e/test_ways.py."""

from __future__ import annotations

import pytest

from clusterctl.errors import RefusedError, RemoteError
from clusterctl.model import Access
from clusterctl.remote import proxy_command
from clusterctl.testing import fake_node

NODE = fake_node(access=Access(command=("aws", "ssm", "start-session", "--target", "i-0abc")))


class Said:
    """A program that is over."""

    def __init__(self, text):
        self._text = text

    def read_stderr(self):
        return self._text

    def quote_stderr(self):
        return f" (aws said: {self._text})"


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("SessionManagerPlugin is not found. Please refer to", "needs the Session Manager plugin: install"),
        ("Unable to locate credentials. You can", "log in to AWS on this computer"),
        ("An error occurred (ExpiredTokenException) when calling", "log in to AWS anew"),
        ("Error when retrieving token from sso: Token has expired", "aws sso login"),
        ("An error occurred (AccessDeniedException) when calling", "have an administrator of the AWS account allow it"),
    ],
)
def test_what_waiting_will_not_cure_is_refused_with_what_will(said, remedy):
    error = proxy_command.proxy_error(NODE, Said(said), EOFError())
    assert type(error) is RefusedError
    assert error.message == f"master: aws: {said}"
    assert remedy in error.remedy


def test_anything_else_may_be_a_machine_that_boots():
    error = proxy_command.proxy_error(NODE, Said("i-0abc is not connected"), EOFError())
    assert type(error) is RemoteError
    assert error.message == "master does not answer through aws: EOFError (aws said: i-0abc is not connected)"
    assert error.remedy.endswith("the way there is: aws ssm start-session --target i-0abc")
    assert error.node == "master"


def test_where_the_aws_program_is_not_installed_it_is_said_what_to_install(
    monkeypatch, tmp_path, allow_subprocess, allow_loopback
):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RefusedError, match="master: aws, which is the way to it, cannot be run here") as caught:
        proxy_command.start_proxy(NODE)
    assert caught.value.remedy.startswith("install the AWS CLI, version 2, and the Session Manager plugin")
