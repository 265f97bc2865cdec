"""Calls to AWS: the only file that knows boto3. botocore's errors become ours here."""

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
"""Throttling is retried with back-off this often before it is told."""
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
    """AWS refused, or did not answer.

    Attributes:
        code: AWS's own word for it, such as ``InvalidGroup.Duplicate``; empty where there was no answer.
    """

    def __init__(self, message: str, *, remedy: str, code: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.code = code


@dataclass(frozen=True)
class Credentials:
    """How to log in, where not as boto3 finds out by itself: environment, profiles, SSO, roles."""

    profile: str | None = None
    access_key_id: str | None = None
    secret_access_key: Secret | None = None
    session_token: Secret | None = None


class Aws:
    """An account, seen from one region. Safe to be used by several threads."""

    def __init__(self, region: str, credentials: Credentials | None = None, *, hasty: bool = False) -> None:
        """An account.

        Args:
            region: to look at.
            credentials: how to log in; None: as boto3 finds out.
            hasty: give up at once where nobody answers: somebody has pressed TAB.
        """
        self.region = region
        self._credentials = credentials or Credentials()
        self._hasty = hasty
        self._lock = threading.Lock()
        self._sessions: list[Any] = []
        """None or one, shared by all regions: what boto3 knows of EC2 takes half a second to load."""
        self._clients: dict[tuple[str, str], Any] = {}

    @property
    def login(self) -> tuple[str, ...]:
        """The same account and region in words of the program `aws`. No keys: what it can find itself is not said."""
        known = self._credentials
        profile = ("--profile", known.profile) if known.profile and not known.access_key_id else ()
        return ("--region", self.region, *profile)

    def elsewhere(self, region: str) -> Aws:
        """The same account, seen from another region."""
        other = copy.copy(self)
        other.region = region
        return other

    def call(self, service: str, operation: str, *, at: str = "", **parameters: Any) -> dict[str, Any]:
        """One API call. What AWS asks to try again is tried again.

        Args:
            service: as boto3 names it: ``ec2``, ``ssm``, ``pricing``.
            operation: as boto3 names it: ``describe_instances``.
            at: region to ask, where not our own: some services live in few.
            **parameters: AWS's own.

        Raises:
            AwsError: refused, or no answer.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer: dict[str, Any] = getattr(self._client(service, at or self.region), operation)(**parameters)
        except ClientError as exc:
            raise _refused(operation, exc) from exc
        except BotoCoreError as exc:
            raise _unanswered(operation, exc) from exc
        return answer

    def pages(self, service: str, operation: str, key: str, **parameters: Any) -> Iterator[Any]:
        """Every item under `key`, over all pages of the answer."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client = self._client(service, self.region)
            for page in client.get_paginator(operation).paginate(**parameters):
                yield from page.get(key) or ()
        except ClientError as exc:
            raise _refused(operation, exc) from exc
        except BotoCoreError as exc:
            raise _unanswered(operation, exc) from exc

    def _client(self, service: str, region: str) -> Any:
        import boto3
        import botocore.session
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        with self._lock:
            if not self._sessions:
                known = self._credentials
                try:
                    core = botocore.session.get_session()
                    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_moment)
                    _leave_out_what_nobody_reads(core)
                    session = boto3.session.Session(
                        botocore_session=core,
                        profile_name=None if known.access_key_id else known.profile,
                        aws_access_key_id=known.access_key_id,
                        aws_secret_access_key=known.secret_access_key.reveal() if known.secret_access_key else None,
                        aws_session_token=known.session_token.reveal() if known.session_token else None,
                        region_name=self.region,
                    )
                    self._sessions.append(session)
                except BotoCoreError as exc:
                    raise _unanswered("log in", exc) from exc
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
"""What EC2 says of each instance, with parts of its own, and nobody here asks for."""


def _leave_out_what_nobody_reads(core: Any) -> None:
    """Do not read all that EC2 says of each instance and its network cards.

    With a thousand instances that takes four tenths of the time.
    """
    loader = core.get_component("data_loader")
    load = loader.load_service_model

    def lean(service: str, kind: str, *rest: Any, **more: Any) -> Any:
        model = load(service, kind, *rest, **more)
        if (service, kind) == ("ec2", "service-2"):
            card = model["shapes"]["InstanceNetworkInterface"]["members"]
            for name in card.keys() - {"Ipv6Addresses"}:
                del card[name]
            for name in _UNREAD:
                model["shapes"]["Instance"]["members"].pop(name, None)
        return model

    loader.load_service_model = lean


def _moment(text: object) -> datetime:
    """A time as AWS writes it. botocore's own way takes seventy times as long, which a thousand instances show."""
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        from botocore.utils import parse_timestamp

        found: datetime = parse_timestamp(text)
        return found


def _refused(operation: str, exc: Any) -> AwsError:
    error = exc.response.get("Error", {})
    code, message = str(error.get("Code", "")), str(error.get("Message", ""))
    return AwsError(f"AWS refused {_words(operation)}: {message} ({code})", remedy=remedy_for(code), code=code)


def remedy_for(code: str) -> str:
    """What to do about an error code of AWS."""
    return _REMEDIES.get(code, _REMEDY)


def _unanswered(operation: str, exc: Exception) -> AwsError:
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
        f"AWS did not answer {_words(operation)}: {exc}",
        remedy="check this computer's network and proxy, and AWS_REGION_NAME in [aws]",
    )


def _words(operation: str) -> str:
    return operation.replace("_", " ")
