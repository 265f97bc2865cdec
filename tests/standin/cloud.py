"""A stand-in for Amazon EC2 in this process: moto, and in front of it what moto lacks."""

from __future__ import annotations

import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import boto3

from . import images, parameters, wire
from .calls import Call, CallLog
from .faults import Faults, LostError
from .moto_side import Moto
from .proxy import Proxy
from .tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

HANDLERS: dict[tuple[str, str], Callable[[Cloud, wire.Request], Mapping[str, Any]]] = {**parameters.HANDLERS}
"""Who answers an action in moto's place."""
CHANGING = ("Run", "Create", "Start", "Stop", "Reboot", "Terminate", "Delete", "Modify", "Cancel")
KEY = "AKIASTANDIN000000000"


class Cloud:
    """Amazon EC2 and the services around it that clusterctl asks. Use it as a context manager.

    One at a time in a process: moto keeps its state in its modules, and it is all new when a Cloud is entered.
    """

    def __enter__(self) -> Cloud:
        self.moto = Moto()
        self.faults = Faults()
        self._log = CallLog()
        self._tokens = Tokens()
        self._lock = threading.RLock()
        self._regions: set[str] = set()
        self._watchers: list[Callable[[], object]] = []
        self._proxy = Proxy(self._handle)
        self._straight = Proxy(self._act)
        return self

    def __exit__(self, *_: object) -> None:
        self._proxy.close()
        self._straight.close()

    @property
    def endpoint(self) -> str:
        """The URL that the program under test talks to."""
        return self._proxy.url

    def environment(self) -> dict[str, str]:
        """What the program under test needs in its environment, and nothing else of AWS."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": "standin",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def calls(self) -> list[Call]:
        """Every call so far, oldest first."""
        return self._log.all()

    def calls_of(self, action: str) -> list[Call]:
        """Every call of this action so far, oldest first."""
        return self._log.of(action)

    def clear_calls(self) -> None:
        """Forget the calls so far."""
        self._log.clear()

    def client(self, service: str, region: str | None = None) -> Any:
        """A boto3 client past the faults, tokens and the record of calls: for what a test makes or looks at itself."""
        return boto3.client(
            service,
            region_name=region or "us-east-1",
            endpoint_url=self._straight.url,
            aws_access_key_id=KEY,
            aws_secret_access_key="standin",
        )

    def on_change(self, callback: Callable[[], object]) -> None:
        """Call this after every call that may have changed instances, in the thread of that call."""
        self._watchers.append(callback)

    def _handle(self, request: wire.Request) -> wire.Answer | None:
        hits = list(self.faults.hitting(request))
        answer: wire.Answer | None = None
        try:
            for fault in hits:
                fault.before(request)
            answer = self._tokens_and_act(request)
            for fault in hits:
                fault.after(request)
        except wire.AwsError as error:
            answer = wire.write_error(request, error)
        except LostError:
            answer = None
        finally:
            self._log.add(
                Call(
                    service=request.service,
                    action=request.action,
                    region=request.region,
                    params=request.params,
                    time=datetime.now(timezone.utc),
                    status=answer.status if answer else 0,
                    error=answer.error if answer else "",
                )
            )
        return answer

    def _tokens_and_act(self, request: wire.Request) -> wire.Answer:
        with self._lock:
            answer = self._tokens.once(request, lambda: self._act_quietly(request))
        self._tell(request)
        return answer

    def _act(self, request: wire.Request) -> wire.Answer:
        with self._lock:
            answer = self._act_quietly(request)
        self._tell(request)
        return answer

    def _act_quietly(self, request: wire.Request) -> wire.Answer:
        self._ensure_region(request.region)
        handler = HANDLERS.get((request.service, request.action))
        try:
            if handler is None:
                return self.moto.forward(request)
            return wire.write(request, handler(self, request))
        except wire.AwsError as error:
            return wire.write_error(request, error)

    def _ensure_region(self, region: str) -> None:
        if region not in self._regions:
            images.seed(self.moto.backend("ec2", region), region)
            self._regions.add(region)

    def _tell(self, request: wire.Request) -> None:
        if request.service == "ec2" and request.action.startswith(CHANGING):
            for watcher in list(self._watchers):
                watcher()
