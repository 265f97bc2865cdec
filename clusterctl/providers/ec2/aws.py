"""Calls to AWS. This is the only file that imports boto3; it turns botocore's errors into ours."""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from clusterctl.clock import Deadline
from clusterctl.errors import ProviderError
from clusterctl.providers.ec2.answers.lookup import find_row
from clusterctl.providers.ec2.answers.newborn import Newborn
from clusterctl.providers.ec2.answers.rows import Kind, Road
from clusterctl.providers.ec2.answers.wording import describe_decision, split_encoded
from clusterctl.providers.ec2.login import explain_login, prepare_roles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from clusterctl.secret import Secret

T = TypeVar("T")
_TRIES = 10
"""Number of attempts, with back-off, before throttling is reported."""
_CONNECT_S, _READ_S, _HASTY_S = 5, 60, 2

_NEW_S = 30.0
"""How long a call is repeated that is refused for something too new, or for a moment."""
_OF_SETTINGS = (OSError, ValueError)
"""What botocore lets through of programs and files that a profile names: they are not there, or say something odd."""
_AGAIN_S, _LONGEST_S = 0.5, 4.0
"""Pauses between two tries; they grow from the first to the longest."""


class AwsError(ProviderError):
    """AWS refused a call, or did not answer.

    Attributes:
        code: AWS's error code, as it is told to the user; empty if there was no answer.
        words: AWS's own message; empty if there was no answer.
        row: what the table of error codes says about it.
    """

    def __init__(self, message: str, *, remedy: str, code: str = "", operation: str = "", words: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.code = code
        self.words = words
        self.row = find_row(code, operation=operation, message=words or message)

    @property
    def kind(self) -> Kind:
        """Why AWS refused."""
        return self.row.kind

    @property
    def reason(self) -> str:
        """AWS's code, for a list of what is left; in words where there was no answer."""
        return self.code or "no answer"


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
        self.newborn = Newborn()
        """What was made in this run, in any region."""

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
        answer: dict[str, Any] = self._repeat(
            operation,
            parameters,
            lambda: getattr(self._client_for(service, at or self.region), operation)(**parameters),
        )
        self.newborn.note_answer(operation, parameters, answer)
        return answer

    def pages(self, service: str, operation: str, key: str, **parameters: Any) -> Iterator[Any]:
        """Yield every item under `key`, over all pages of the answer."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client = self._client_for(service, self.region)
            for page in client.get_paginator(operation).paginate(**parameters):
                yield from page.get(key) or ()
        except ClientError as exc:
            raise self._refused_error(operation, exc) from exc
        except BotoCoreError as exc:
            raise self._no_answer_error(operation, exc) from exc
        except _OF_SETTINGS as exc:
            raise self._unusable_error(exc) from exc

    def decode_refusal(self, encoded: str) -> str:
        """Return what an encoded authorization message says; empty where the account does not allow to decode it."""
        if not encoded or self._hasty:
            return ""
        try:
            answer = self.call("sts", "decode_authorization_message", EncodedMessage=encoded)
        except AwsError:
            return ""
        return describe_decision(str(answer.get("DecodedMessage", "")))

    def _repeat(self, operation: str, parameters: Mapping[str, Any], ask: Callable[[], T]) -> T:
        """Ask AWS; ask again for some time where what was made in this run is not known yet, or AWS is busy."""
        from botocore.exceptions import BotoCoreError, ClientError

        deadline = Deadline.after(0 if self._hasty else _NEW_S)
        for _ in deadline.polls(_AGAIN_S, longest_s=_LONGEST_S):
            try:
                return ask()
            except ClientError as exc:
                error = self._refused_error(operation, exc)
                passes = self._passes(error, operation, parameters, exc.response.get("ResponseMetadata", {}))
                if deadline.is_over or not passes:
                    raise error from exc
            except BotoCoreError as exc:
                raise self._no_answer_error(operation, exc) from exc
            except _OF_SETTINGS as exc:
                raise self._unusable_error(exc) from exc
        return ask()  # not reached: the last look is at the deadline

    def _passes(
        self, error: AwsError, operation: str, parameters: Mapping[str, Any], metadata: Mapping[str, Any]
    ) -> bool:
        """Return whether the same call may be answered otherwise in a moment."""
        repeated = bool(metadata.get("RetryAttempts"))  # by botocore, which repeats what it knows as busy
        if error.row.road == Road.RETRY:
            return not repeated
        # A deletion whose answer was lost is repeated by botocore, and what it deleted is missing then.
        deleted = repeated and operation.startswith("delete_")
        return error.row.road == Road.AWAIT and not deleted and self.newborn.are_named_in(parameters)

    def _refused_error(self, operation: str, exc: Any) -> AwsError:
        error = exc.response.get("Error", {})
        code = str(error.get("Code", ""))
        words, encoded = split_encoded(str(error.get("Message", "")))
        row = find_row(code, operation=operation, message=words)
        decision = self.decode_refusal(encoded)
        request = str(exc.response.get("ResponseMetadata", {}).get("RequestId", ""))
        named = f"{code}, request {request}" if row.kind == Kind.UNKNOWN and request else code
        text = f"AWS refused {_in_words(operation)}: {words}{f' {decision}' if decision else ''} ({named})"
        return AwsError(text, remedy=row.remedy, code=code, operation=operation, words=words)

    def _no_answer_error(self, operation: str, exc: Exception) -> AwsError:
        return self._login_error(exc) or AwsError(
            f"AWS did not answer {_in_words(operation)}: {exc}",
            remedy="check this computer's network and proxy, and AWS_REGION_NAME in [aws]",
        )

    def _unusable_error(self, exc: Exception) -> AwsError:
        """Return what to raise for an error of what the environment or ~/.aws says."""
        return self._login_error(exc) or AwsError(
            f"what is set for AWS cannot be used: {exc}",
            remedy="correct AWS_REGION_NAME in [aws], the variables that begin with AWS_, and the profile in ~/.aws:"
            " `aws sts get-caller-identity` with the same ones must work",
        )

    def _login_error(self, exc: Exception) -> AwsError | None:
        told = explain_login(exc, self._credentials.profile)
        return AwsError(told[0], remedy=told[1]) if told else None

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
                    prepare_roles(core, may_ask=not self._hasty)
                    self._sessions.append(session)
                except BotoCoreError as exc:
                    raise self._no_answer_error("log in", exc) from exc
            if (service, region) not in self._clients:
                config = Config(
                    retries={"mode": "standard", "total_max_attempts": 1 if self._hasty else _TRIES},
                    connect_timeout=_HASTY_S if self._hasty else _CONNECT_S,
                    read_timeout=_HASTY_S if self._hasty else _READ_S,
                    max_pool_connections=16,
                    user_agent_extra="clusterctl",
                )
                try:
                    client = self._sessions[0].client(service, region_name=region, config=config)
                except (BotoCoreError, *_OF_SETTINGS, AttributeError, TypeError) as exc:
                    raise self._unusable_error(exc) from exc
                self._clients[service, region] = client
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


def _in_words(operation: str) -> str:
    return operation.replace("_", " ")
