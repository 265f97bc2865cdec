"""A stand-in for Amazon EC2 in this process: moto, and in front of it what moto lacks."""

from __future__ import annotations

import threading
import traceback
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from moto.core.exceptions import ServiceException

from . import leaks, time
from .account import Account, opens
from .api import limits, made_once, wire  # noqa: F401  made_once: what it replaces
from .api.actions import HANDLERS
from .api.calls import Call, CallLog
from .api.effects import Effects
from .api.inside import Inside
from .api.moto_side import Moto
from .api.proxy import Proxy
from .api.tokens import Tokens
from .faults import Faults, LostError
from .fleets.capacity import SPOT, Capacity
from .fleets.spot import SpotRequests
from .instances import images
from .instances.describe import tags_of
from .instances.launch_data import disk_keys
from .instances.lives import Life, Lives
from .instances.lives import utcnow as lives_now
from .instances.machine_view import Machine, machine_of
from .instances.running import check_launch
from .instances.states import INTERRUPTED, NO_KEY, NO_ROOM, end, powered_off
from .money.bill import Homes, bill_usd
from .money.prices import Prices
from .money.quotas import Quotas
from .network import gateways

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .fleets.fleets import Fleet
    from .network.placement import PlacementGroup

CHANGING = ("Run", "Create", "Start", "Stop", "Reboot", "Terminate", "Delete", "Modify", "Cancel", "Attach", "Detach")
KEY = "AKIASTANDIN000000000"


@cache
def _session() -> boto3.Session:
    """One for all, with what has been read of AWS's descriptions."""
    core = botocore.session.get_session()
    core.register_component("data_loader", wire.loader())
    return boto3.Session(botocore_session=core)


@cache
def _straight() -> Inside:
    """One for all: the clients of its address can be kept."""
    return Inside("straight", lambda _: None)


def _client(service: str, region: str, url: str) -> Any:
    """A client with the keys of the account."""
    return _session().client(
        service,
        region_name=region,
        endpoint_url=url,
        aws_access_key_id=KEY,
        aws_secret_access_key="standin",
    )


@cache
def _straight_client(service: str, region: str) -> Any:
    return _client(service, region, _straight().url)


class Cloud:
    """Amazon EC2 and the services around it that clusterctl asks. Use it as a context manager.

    One at a time in a process: moto keeps its state in its modules, and it is all new when a Cloud is entered.
    Calls are answered one after the other.
    """

    _only = threading.Lock()

    def __init__(self, *, port: bool = True, boot_s: float = 0) -> None:
        """Say who can get in, and how long its machines boot.

        Args:
            port: it listens at a port of this computer. Without, only boto3 in this process gets in, and sooner.
            boot_s: seconds from a launch, or a start, until the SSH server of an instance answers.
        """
        self._has_port = port
        self.boot_s = boot_s

    def __enter__(self) -> Cloud:
        if not Cloud._only.acquire(blocking=False):
            raise RuntimeError("there is another Cloud in this process: moto has room for one")
        time.follow(None)
        self.moto = Moto()
        self.faults = Faults()
        self.capacity = Capacity()
        self.account = Account()
        self.quotas = Quotas()
        self.prices = Prices()
        self.lives = Lives()
        self.homes = Homes()
        self.spot = SpotRequests()
        self.fleets: dict[str, Fleet] = {}
        self.placement_groups: dict[tuple[str, str], PlacementGroup] = {}
        self.pending_images: dict[str, int] = {}
        self.sources: dict[str, str] = {}
        """The instance that each image was made of."""
        self.consoles: Mapping[str, str] = {}
        self.reboots: Counter[str] = Counter()
        self.lock = threading.RLock()
        self._log = CallLog()
        self._tokens = Tokens()
        self._bugs: list[str] = []
        self._timers: list[threading.Timer] = []
        self._regions: set[str] = set()
        self._watchers: list[Callable[[], object]] = []
        self._door = Proxy(self._handle) if self._has_port else Inside("cloud", self._handle)
        _straight().handle = lambda request: self._act(replace(request, straight=True, effects=Effects()))
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for timer in self._timers:
            timer.cancel()
        time.follow(None)
        self._door.close()
        _straight().handle = lambda _: None
        Cloud._only.release()
        if self._bugs and kind is None:
            raise AssertionError("the stand-in has bugs:\n" + "\n".join(self._bugs))

    @property
    def endpoint(self) -> str:
        """The URL that the program under test talks to."""
        return self._door.url

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

    def client(self, service: str, region: str | None = None, *, straight: bool = True) -> Any:
        """A boto3 client past the faults, tokens and the record of calls: for what a test makes or looks at itself.

        Not `straight`, it goes where the program under test goes.
        """
        with self.lock:
            region = region or "us-east-1"
            return _straight_client(service, region) if straight else _client(service, region, self._door.url)

    def follow(self, clock: Callable[[], float]) -> None:
        """Take the time from this function, in seconds since 1970: hours that cost money need not be waited for."""
        time.follow(clock)

    def bill_usd(self, cluster: str) -> float:
        """What the instances of a cluster have cost so far, by the value of their tag `clusterctl:cluster`."""
        with self.lock:
            lives = [life for life in self.lives if tags_of(life).get("clusterctl:cluster") == cluster]
            return bill_usd(self, lives, lives_now()) + self.homes.usd_of(cluster, lives_now())

    def on_change(self, callback: Callable[[], object]) -> None:
        """Call this after everything that may have changed instances, in the thread that changed them."""
        self._watchers.append(callback)

    def machines(self) -> list[Machine]:
        """Every instance of every region as who gives it a body needs to know it, also those that have ended."""
        with self.lock:
            return [machine_of(self, life) for life in self.lives]

    def interrupt(self, instance_id: str, *, notice_s: float = 120, by_hand: bool = False) -> None:
        """Take a spot instance back: a notice now, the end after so many seconds.

        Args:
            instance_id: a spot instance.
            notice_s: how long it still has, as its notice says.
            by_hand: it ends when the test says so, by `take_back`.
        """
        with self.lock:
            life = self._life(instance_id)
            if life.market != SPOT:
                raise ValueError(f"{instance_id} is no spot instance")
            life.notice = time.now() + timedelta(seconds=notice_s)
            request = self.spot.get(life.spot_request)
            if request is not None:
                request.status = "marked-for-termination"
        if notice_s <= 0:
            self.take_back(instance_id)
            return
        if not by_hand:
            timer = threading.Timer(notice_s, self.take_back, [instance_id])
            timer.daemon = True
            self._timers.append(timer)
            timer.start()
        self._tell()

    def take_back(self, instance_id: str) -> None:
        """End a spot instance for want of capacity, now."""
        with self.lock:
            end(self, self._life(instance_id), reason=INTERRUPTED, status="instance-terminated-no-capacity")
        self._tell()

    def notices(self) -> dict[str, str]:
        """The instances that are to be taken back, and when: what their metadata services say."""
        return {life.id: f"{life.notice:%Y-%m-%dT%H:%M:%SZ}" for life in self.lives if life.notice is not None}

    def powered_off(self, instance_id: str) -> None:
        """The machine shut itself down: it stops or ends as it was launched to."""
        with self.lock:
            powered_off(self, self._life(instance_id))
        self._tell()

    def rebooted(self, instance_id: str) -> None:
        """Somebody asked for a reboot: counted in `reboots`."""
        self.reboots[instance_id] += 1

    def doom(self, lives: list[Life], effects: Effects) -> None:
        """End the first of these right after their launch, if a fault says so; and those whose disk EC2 cannot open."""
        for life in lives:
            if not all(opens(self, life.region, key) for key in disk_keys(life)):
                end(self, life, reason=NO_KEY, status="instance-terminated-by-service")
        for life in lives[: effects.doomed]:
            spot = life.market == SPOT
            status = "instance-terminated-no-capacity"
            end(self, life, reason=INTERRUPTED if spot else NO_ROOM, status=status)

    def left(self) -> list[str]:
        """What is still there in any region and should have been ended. What a new account has does not count."""
        with self.lock:
            return [line for region in sorted(self._regions) for line in leaks.left(self, region)]

    def _life(self, instance_id: str) -> Life:
        life = self.lives.get(instance_id)
        if life is None:
            raise KeyError(instance_id)
        return life

    def _handle(self, request: wire.Request) -> wire.Answer | None:
        hits = self.faults.hitting(request)
        request = replace(request, effects=Effects())
        answer: wire.Answer | None = None
        try:
            for fault in hits:
                fault.before(request)
                fault.shape(request.effects)
            answer = self._act(request)
            self._interrupt_some(request)
            for fault in hits:
                fault.after(request)
        except wire.AwsError as error:
            answer = wire.write_error(request, error)
        except LostError:
            answer = None
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

    def _act(self, request: wire.Request) -> wire.Answer:
        with self.lock:
            if request.straight:
                answer = self._answer(request)
            else:
                answer = self._tokens.once(
                    request, lambda: self._answer(request), ended=lambda token: self._ended(request.region, token)
                )
            if request.service == "ec2" and "Volume" in request.action:
                self.homes.look(self.moto.backend("ec2", request.region), lives_now())
        if request.service == "ec2" and request.action.startswith(CHANGING):
            self._tell()
        return answer

    def _interrupt_some(self, request: wire.Request) -> None:
        runs = [life.id for life in self.lives if life.market == SPOT and life.settled == "running" and not life.notice]
        for identity in runs[: request.effects.interrupted]:
            self.interrupt(identity, notice_s=request.effects.notice_s)

    def _ended(self, region: str, token: str) -> bool:
        mine = [life for life in self.lives.of(region) if life.token == token]
        return bool(mine) and all(life.settled == "terminated" for life in mine)

    def _answer(self, request: wire.Request) -> wire.Answer:
        handler = HANDLERS.get((request.service, request.action))
        try:
            self._ensure_region(request.region)
            limits.check(request)
            if request.service == "ec2" and request.params.get("DryRun"):
                if request.action == "RunInstances":  # the one that EC2 is known to look at as a whole
                    check_launch(self, request)
                said = "Request would have succeeded, but DryRun flag is set."
                raise wire.AwsError("DryRunOperation", said, status=412)
            if handler is None:
                return self.moto.forward(request)
            result = handler(self, request)
            return result if isinstance(result, wire.Answer) else wire.write(request, result)
        except wire.AwsError as error:
            return wire.write_error(request, error)
        except ServiceException as exc:
            return wire.write_error(request, wire.AwsError(str(exc.code), str(exc.message)))
        except Exception as exc:  # noqa: BLE001  told at the end of the test, and to the program as EC2 would
            self._bugs.append(f"{request.action} {request.params}\n{traceback.format_exc()}")
            return wire.write_error(request, wire.AwsError("InternalError", f"stand-in: {exc!r}", status=500))

    def _ensure_region(self, region: str) -> None:
        if region not in self._regions:
            images.seed(self.moto.backend("ec2", region), region)
            gateways.seed(self.moto.backend("ec2", region))
            self._regions.add(region)

    def _tell(self) -> None:
        for watcher in list(self._watchers):
            watcher()
