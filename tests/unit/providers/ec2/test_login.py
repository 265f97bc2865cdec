"""Profiles that are to log in first say what to type, codes are asked for once and at a terminal alone."""

from __future__ import annotations

import getpass
import sys

import pytest
from botocore import exceptions

from clusterctl.providers.ec2.aws import Aws, AwsError, Credentials
from clusterctl.providers.ec2.login import explain_login

CONFIG = """
[profile base]
aws_access_key_id = AKIASTANDIN000000000
aws_secret_access_key = standin

[profile admin]
source_profile = base
role_arn = arn:aws:iam::123456789012:role/admin
mfa_serial = arn:aws:iam::123456789012:mfa/me
"""


@pytest.fixture
def asked(tmp_path, monkeypatch, cloud):
    """A home with a role that wants a code, the stand-in, and the questions that were asked."""
    for name, value in cloud.environment().items():
        if "KEY" not in name:
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "config").write_text(CONFIG)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    questions = []

    def ask(prompt):
        questions.append(prompt)
        return "123456"

    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    # botocore has it as the default of an argument.
    from botocore.credentials import AssumeRoleProvider

    defaults = AssumeRoleProvider.__init__.__defaults__
    monkeypatch.setattr(
        AssumeRoleProvider.__init__,
        "__defaults__",
        tuple(ask if one is getpass.getpass else one for one in defaults),
    )
    return questions


def who(**options):
    return Aws("us-east-1", Credentials(profile="admin"), **options).call("sts", "get_caller_identity")["Arn"]


def test_a_code_is_asked_for_once_and_the_next_command_goes_on_with_what_it_got(asked, tmp_path):
    assert ":assumed-role/admin/" in who()
    assert who() == who()
    assert len(asked) == 1
    (kept,) = (tmp_path / ".aws/cli/cache").iterdir()
    assert kept.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("way", ["completing", "no terminal"])
def test_nobody_is_asked_while_completing_or_without_a_terminal(asked, monkeypatch, way):
    if way == "no terminal":
        monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(AwsError, match=r"asks for a code \(MFA\), and there is no terminal"):
        who(fail_fast=way == "completing")
    assert asked == []


def test_a_home_that_cannot_be_written_only_asks_again(asked, tmp_path):
    (tmp_path / ".aws").touch()
    assert ":assumed-role/admin/" in who()
    assert ":assumed-role/admin/" in who()
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (exceptions.UnauthorizedSSOTokenError(), "run `aws sso login --profile research`"),
        (exceptions.SSOTokenLoadError(error_msg="none"), "run `aws sso login --profile research`"),
        (exceptions.TokenRetrievalError(provider="sso", error_msg="expired"), "run `aws sso login --profile research`"),
        (exceptions.LoginRefreshRequired(), "run `aws login --profile research`"),
        (exceptions.LoginTokenLoadError(error_msg="none"), "run `aws login --profile research`"),
        (exceptions.LoginInsufficientPermissions(), "signin:CreateOAuth2Token"),
        (exceptions.ProfileNotFound(profile="research"), "aws configure list-profiles"),
        (exceptions.InvalidConfigError(error_msg="x"), "correct AWS_PROFILE"),
        (exceptions.NoCredentialsError(), "run `aws configure`"),
        (exceptions.MissingDependencyException(msg="botocore[crt] is needed"), "pip install 'botocore[crt]'"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_to_be_typed_is_said(error, words):
    message, remedy = explain_login(error, "research")
    assert words in remedy
    assert "credentials that work" in message or "not installed here" in message


def test_no_profile_is_named_where_none_was(monkeypatch):
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    assert explain_login(exceptions.LoginRefreshRequired(), None)[1] == "run `aws login`"


def test_an_answer_that_did_not_come_is_another_matter():
    assert explain_login(exceptions.EndpointConnectionError(endpoint_url="x"), None) is None
