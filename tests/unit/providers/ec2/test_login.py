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


ROLE = "role_arn = arn:aws:iam::123456789012:role/x\n"
SSO = "sso_account_id = 1\nsso_role_name = r\n"
KEYS = "aws_access_key_id = AKIASTANDIN000000000\naws_secret_access_key = standin\n"
PROFILES = {
    "a login without its library": ("login_session = arn:aws:iam::123456789012:user/me\n", "pip install 'botocore"),
    "single sign-on": (
        f"sso_session = x\n{SSO}[sso-session x]\nsso_region = us-east-1\nsso_start_url = u\n",
        "sso login",
    ),
    "no such session": (f"sso_session = y\n{SSO}", "the profile in ~/.aws"),
    "a program that is not there": ("credential_process = /no/such/program\n", "the profile in ~/.aws"),
    "a program that fails": ("credential_process = false\n", "aws configure"),
    "a program that says no JSON": ("credential_process = echo hello\n", "the profile in ~/.aws"),
    "a program that says a list": ("credential_process = echo []\n", "the profile in ~/.aws"),
    "a program that cannot be read": ('credential_process = "open\n', "the profile in ~/.aws"),
    "a token that is not there": (f"{ROLE}web_identity_token_file = /no/such/file\n", "the profile in ~/.aws"),
    "no such source": (f"{ROLE}source_profile = nobody\n", "the profile in ~/.aws"),
    "a role of nobody": (ROLE, "aws configure"),
    "half of the keys": ("aws_access_key_id = AKIASTANDIN000000000\n", "aws configure"),
    "an odd address": (f"{KEYS}endpoint_url = nowhere\n", "the profile in ~/.aws"),
    "no such services": (f"{KEYS}services = none\n", "the profile in ~/.aws"),
}


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_that_does_not_work_says_what_helps(tmp_path, monkeypatch, name, allow_subprocess):
    """botocore itself reads it, and has an error of its own for some of these alone."""
    text, helps = PROFILES[name]
    (tmp_path / "config").write_text(f"[profile lab]\n{text}")
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(AwsError) as caught:
        Aws("us-east-1", Credentials(profile="lab")).call("ec2", "describe_regions")
    assert helps in caught.value.remedy
    assert "network" not in caught.value.remedy
