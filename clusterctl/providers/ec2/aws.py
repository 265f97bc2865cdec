"""Calls to AWS. This is the only file that imports boto3; it turns botocore's errors into ours."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from clusterctl.errors import ProviderError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clusterctl.secret import Secret

_TRIES = 10
"""Number of attempts, with back-off, before throttling is reported."""
_CONNECT_S, _READ_S, _HASTY_S = 5, 60, 2

_REMEDIES = {
    "AuthFailure": "check the keys: `aws sts get-caller-identity` with the same profile must work",
    "InvalidClientTokenId": "check the keys: `aws sts get-caller-identity` with the same profile must work",
    "UnrecognizedClientException": "check the keys: `aws sts get-caller-identity` with the same profile must work",
    "SignatureDoesNotMatch": "check the secret key, and that this computer's clock is right",
    "RequestExpired": "get new temporary credentials, and check that this computer's clock is right",
    "ExpiredToken": "get new temporary credentials (`aws sso login`, say)",
    "ExpiredTokenException": "get new temporary credentials (`aws sso login`, say)",
    "OptInRequired": "the account is not signed up for EC2 in this region: choose another AWS_REGION_NAME",
    "UnauthorizedOperation": "let somebody with rights in the account allow it; docs/howto/ec2.md lists what is needed",
    "AccessDenied": "let somebody with rights in the account allow it; docs/howto/ec2.md lists what is needed",
    "AccessDeniedException": "let somebody with rights in the account allow it; docs/howto/ec2.md lists what is needed",
    "RequestLimitExceeded": "AWS wants fewer calls: wait a minute, then run the same command again",
    "Throttling": "AWS wants fewer calls: wait a minute, then run the same command again",
    "VcpuLimitExceeded": "ask for a higher quota in the Service Quotas console, end other instances, or take fewer",
    "MaxSpotInstanceCountExceeded": "ask for a higher quota in the Service Quotas console, end other instances,"
    " or take fewer",
    "InsufficientInstanceCapacity": "name more types in NODE_INSTANCE_TYPE, or another zone",
    "IdempotentParameterMismatch": "run the same command again; if it stays, `clusterctl terminate` the cluster",
}
_REMEDY = "run the same command again; if it stays, see what AWS says about this code"


class AwsError(ProviderError):
    """AWS refused a call, or did not answer.

    Attributes:
        code: error code of AWS, such as ``InvalidGroup.Duplicate``; empty if there was no answer.
    """

    def __init__(self, message: str, *, remedy: str, code: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.code = code


@dataclass(frozen=True)
class Credentials:
    """Credentials to use in place of those that boto3 finds by itself (environment, profiles, SSO, roles)."""

    profile: str | None = None
    access_key_id: str | None = None
    secret_access_key: Secret | None = None
    session_token: Secret | None = None


class Aws:
    """An AWS account, used from one region. Safe to share between threads."""

    def __init__(self, region: str, credentials: Credentials | None = None, *, fail_fast: bool = False) -> None:
        """Set region and credentials; no call is made yet.

        Args:
            region: to work in.
            credentials: to log in with; None: those that boto3 finds.
            fail_fast: try once with short timeouts, because a user waits for TAB completion.
        """
        self.region = region
        self._credentials = credentials or Credentials()
        self._hasty = fail_fast
        self._lock = threading.Lock()
        self._sessions: list[Any] = []
        """Empty, or one session for all regions: boto3 takes half a second to load its data of EC2."""
        self._clients: dict[tuple[str, str], Any] = {}

    @property
    def cli_options(self) -> tuple[str, ...]:
        """Options of the program `aws` for the same account and region. Keys are never among them."""
        credentials = self._credentials
        profile = ("--profile", credentials.profile) if credentials.profile and not credentials.access_key_id else ()
        return ("--region", self.region, *profile)

    def in_region(self, region: str) -> Aws:
        """Return the same account in another region."""
        other = copy.copy(self)
        other.region = region
        return other

    def call(self, service: str, operation: str, *, at: str = "", **parameters: Any) -> dict[str, Any]:
        """Make one API call. botocore repeats what AWS asks to repeat.

        Args:
            service: as boto3 names it: ``ec2``, ``ssm``, ``pricing``.
            operation: as boto3 names it: ``describe_instances``.
            at: region to ask in place of our own: some services exist in few regions.
            **parameters: of the API call, as AWS names them.

        Raises:
            AwsError: AWS refused, or did not answer.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = getattr(self._client_for(service, at or self.region), operation)(**parameters)
        except ClientError as exc:
            raise _refused_error(operation, exc) from exc
        except BotoCoreError as exc:
            raise _no_answer_error(operation, exc) from exc
        return answer

    def pages(self, service: str, operation: str, key: str, **parameters: Any) -> Iterator[Any]:
        """Yield every item under `key`, over all pages of the answer."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client = self._client_for(service, self.region)
            for page in client.get_paginator(operation).paginate(**parameters):
                yield from page.get(key) or ()
        except ClientError as exc:
            raise _refused_error(operation, exc) from exc
        except BotoCoreError as exc:
            raise _no_answer_error(operation, exc) from exc

    def _client_for(self, service: str, region: str) -> Any:
        import boto3
        import botocore.session
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        with self._lock:
            if not self._sessions:
                credentials = self._credentials
                try:
                    core = botocore.session.get_session()
                    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_parse_time)
                    _skip_unused_fields(core)
                    session = boto3.session.Session(
                        botocore_session=core,
                        profile_name=None if credentials.access_key_id else credentials.profile,
                        aws_access_key_id=credentials.access_key_id,
                        aws_secret_access_key=credentials.secret_access_key.reveal()
                        if credentials.secret_access_key
                        else None,
                        aws_session_token=credentials.session_token.reveal() if credentials.session_token else None,
                        region_name=self.region,
                    )
                    self._sessions.append(session)
                except BotoCoreError as exc:
                    raise _no_answer_error("log in", exc) from exc
            if (service, region) not in self._clients:
                config = Config(
                    retries={"mode": "standard", "total_max_attempts": 1 if self._hasty else _TRIES},
                    connect_timeout=_HASTY_S if self._hasty else _CONNECT_S,
                    read_timeout=_HASTY_S if self._hasty else _READ_S,
                    max_pool_connections=16,
                    user_agent_extra="clusterctl",
                )
                self._clients[service, region] = self._sessions[0].client(service, region_name=region, config=config)
            return self._clients[service, region]


_UNREAD = (
    *("CapacityReservationSpecification", "EnclaveOptions", "HibernationOptions", "Licenses", "MaintenanceOptions"),
    *("Monitoring", "NetworkPerformanceOptions", "Operator", "PrivateDnsNameOptions", "ProductCodes"),
)
"""Nested fields of an instance in the answer of EC2 that this program does not use."""


def _skip_unused_fields(core: Any) -> None:
    """Do not parse unused fields of instances and network interfaces.

    Parsing them takes four tenths of the time with a thousand instances.
    """
    loader = core.get_component("data_loader")
    load = loader.load_service_model

    def load_without_unused(service: str, kind: str, *rest: Any, **more: Any) -> Any:
        model = load(service, kind, *rest, **more)
        if (service, kind) == ("ec2", "service-2"):
            card = model["shapes"]["InstanceNetworkInterface"]["members"]
            for name in card.keys() - {"Ipv6Addresses"}:
                del card[name]
            for name in _UNREAD:
                model["shapes"]["Instance"]["members"].pop(name, None)
        return model

    loader.load_service_model = load_without_unused


def _parse_time(text: object) -> datetime:
    """Parse a time as AWS writes it.

    botocore's own parser takes seventy times as long, which a thousand instances show.
    """
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        from botocore.utils import parse_timestamp

        parsed: datetime = parse_timestamp(text)
        return parsed


def _refused_error(operation: str, exc: Any) -> AwsError:
    error = exc.response.get("Error", {})
    code, message = str(error.get("Code", "")), str(error.get("Message", ""))
    return AwsError(f"AWS refused {_in_words(operation)}: {message} ({code})", remedy=remedy_for(code), code=code)


def remedy_for(code: str) -> str:
    """Return what to do about an error code of AWS."""
    return _REMEDIES.get(code, _REMEDY)


def _no_answer_error(operation: str, exc: Exception) -> AwsError:
    from botocore import exceptions

    missing = (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
        exceptions.ProfileNotFound,
        exceptions.TokenRetrievalError,
        exceptions.UnauthorizedSSOTokenError,
        exceptions.SSOError,
    )
    if isinstance(exc, missing):
        return AwsError(
            f"there are no AWS credentials that work: {exc}",
            remedy="run `aws configure` or `aws sso login`, set AWS_PROFILE, or put AWS_PROFILE into [aws]",
            code="NoCredentials",
        )
    return AwsError(
        f"AWS did not answer {_in_words(operation)}: {exc}",
        remedy="check this computer's network and proxy, and AWS_REGION_NAME in [aws]",
    )


def _in_words(operation: str) -> str:
    return operation.replace("_", " ")
