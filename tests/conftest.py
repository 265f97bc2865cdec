"""Guards around every test, and a whole laptop with fake machines for those that need one.

A test that is not marked `e2e`, `docker` or `vm` reaches no socket and starts no process: what it needs is in
`clusterctl.testing`.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from clusterctl_standin.fixtures import bodies  # noqa: F401  fixture

from clusterctl.config import loading as config
from clusterctl.events import Event, EventKind, Reporter
from clusterctl.journal import ClusterFolder
from clusterctl.operations.context import RunContext
from clusterctl.plugin.host import PluginHost
from clusterctl.testing import FakeConnector, FakeProvider

from .support import sampling
from .support.docker_engine import docker_api, docker_image, docker_image_with_lists, docker_provider  # noqa: F401  fixtures
from .support.sharing import Sharing, in_order

if TYPE_CHECKING:
    from collections.abc import Mapping

# Some shells forbid it. Tests start hundreds of Pythons, and each would compile anew all that it imports.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# A shell's job in the background ignores Ctrl-C, and all that it starts: tests of Ctrl-C would wait in vain.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_PROCESS = frozenset(
    {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.spawn", "os.system"}
)
_SOCKET = frozenset({"socket.__new__", "socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostbyname"})


class OutOfBoundsError(BaseException):
    """A unit test touched the world. Not an Exception: code that forgives much must not forgive this."""


class _RefusedEvent(str):
    """A key of the fence's table: to look it up is to be refused."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        raise OutOfBoundsError(
            f"{self}: a unit test may reach no socket and start no process. Use clusterctl.testing,"
            " or mark it e2e, or ask for the fixture allow_subprocess or allow_loopback"
        )


class _Fence:
    """Python's audit events see every way out, C code's too. The hook cannot be taken away, so it is switched off.

    The hook is the `get` of a table. One that is written in Python lets other threads run in the middle of the event
    that it looks at. Where coverage is measured, that event can be a thread's own trace function: of two threads that
    start together, one then dies of it. A look for garbage lets them run there as well: see `pytest_collection_finish`.
    """

    def __init__(self) -> None:
        self._table: dict[str, None] = {}
        self._refused: frozenset[str] = frozenset()
        sys.addaudithook(self._table.get)

    @property
    def refused(self) -> frozenset[str]:
        return self._refused

    @refused.setter
    def refused(self, events: frozenset[str]) -> None:
        self._refused = events
        self._table.clear()
        self._table.update((_RefusedEvent(event), None) for event in events)


_fence = _Fence()


def _is_real(test: pytest.Item) -> bool:
    """Whether a test works on real nodes: processes of this computer, containers, virtual machines."""
    return any(test.get_closest_marker(kind) for kind in ("e2e", "docker", "vm"))


@pytest.fixture(autouse=True)
def _unchanged():
    """A test that leaves its environment or folder behind spoils the next one: it fails instead."""

    def now() -> tuple[dict[str, str], str]:
        return {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}, str(Path.cwd())

    before = now()
    yield
    after = now()
    if after != before:
        os.environ.clear()
        os.environ.update(before[0])
        os.chdir(before[1])
    assert after[1] == before[1], "this test left the current folder changed"
    changed = sorted(k for k in {*after[0], *before[0]} if after[0].get(k) != before[0].get(k))
    assert not changed, f"this test left the environment changed: {', '.join(changed)}"


@pytest.fixture(autouse=True)
def _fenced(_unchanged, request):
    if not _is_real(request.node):
        _fence.refused = _PROCESS | _SOCKET
    yield
    _fence.refused = frozenset()


@pytest.fixture(scope="session")
def _homes(tmp_path_factory):
    """Names of folders in which no test had its home yet."""
    base = tmp_path_factory.mktemp("homes")
    return (f"{base}/{number}" for number in itertools.count())


@pytest.fixture(autouse=True)
def _own_home(_unchanged, request, _homes):
    """Nothing of the developer's own clusterctl is read or written, nor of its cache."""
    if _is_real(request.node):
        yield
        return
    home = next(_homes)
    os.mkdir(home)  # noqa: PTH102  thousands of times
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("CLUSTERCTL_")]:
            patch.delenv(name)
        patch.setenv("CLUSTERCTL_HOME", home)
        patch.setenv("XDG_CACHE_HOME", f"{home}/cache")
        patch.setenv("DOCKER_HOST", f"unix://{home}/no-engine.sock")
        # Nobody cuts the power in the middle of a test: to wait for the disk is a tenth of the time.
        patch.setattr(os, "fsync", lambda _: None)
        yield
    with contextlib.suppress(OSError):  # one in which something is stays for whoever looks into a failure
        os.rmdir(home)  # noqa: PTH106


@pytest.fixture
def without_gc():
    """Nobody looks for garbage in this test: what goes, goes because nothing holds it."""
    was_enabled = gc.isenabled()
    gc.disable()
    yield
    if was_enabled:
        gc.enable()


@pytest.fixture
def allow_subprocess(_fenced):
    """This test runs a program that is no part of a cluster: a linter, a fresh Python."""
    _fence.refused = _fence.refused - _PROCESS


@pytest.fixture
def allow_loopback(_fenced):
    """This test needs a port of this computer."""
    _fence.refused = _fence.refused - _SOCKET


def pytest_addoption(parser, pluginmanager):
    pluginmanager.register(sampling)
    parser.addoption(
        "--require",
        default="",
        metavar="NAMES",
        help="comma list such as docker,vm: run what needs these; a skip for want of one of them is a failure",
    )


def _required(config: pytest.Config) -> list[str]:
    return [name.strip() for name in config.getoption("--require").split(",") if name.strip()]


def _main_clusters(config: pytest.Config) -> int:
    """How many processes have a main cluster. Without what is slow, a second one costs more than it saves."""
    return 2 if "slow" in _required(config) else 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """How many processes share the tests out: two more than there are cores, and four at most.

    Tests with nodes wait for boots and for ends much of their time. One process less where slow ones and containers
    are asked for, whose nodes have deadlines. No processes of their own have files that were named, and virtual
    machines, each of which has use for all cores.
    """
    all_tests = config.args_source == pytest.Config.ArgsSource.TESTPATHS
    required = _required(config)
    if not all_tests or "vm" in required:
        return 0
    return min((os.cpu_count() or 1) + (1 if required else 2), 4)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Files that share a cluster go to one process."""
    return Sharing(config, log, clusters=_main_clusters(config))


def pytest_configure(config):
    """Properties are tried on a sample that is the same each time; with `--whole` on many more, and new ones.

    Without deadlines: how long one example takes says more of the machine than of us.
    """
    hypothesis.settings.register_profile("sample", deadline=None, max_examples=25, derandomize=True, database=None)
    hypothesis.settings.register_profile("whole", deadline=None, max_examples=400)
    hypothesis.settings.load_profile("whole" if config.option.whole else "sample")


def pytest_collection_finish(session):
    """What is loaded stays: to look through it for garbage again and again takes a tenth of the time.

    Where coverage is measured, nobody looks for garbage in a test. Python would in the middle of an event of the
    fence, and a thread of a test would die of it now and then.
    """
    gc.collect()
    gc.freeze()
    if session.config.pluginmanager.hasplugin("_cov"):
        gc.disable()


def pytest_runtest_logfinish():
    """What a test left is collected before the next one where it was not while the test ran: what is new, quickly."""
    if not gc.isenabled():
        gc.collect(1)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """What takes minutes is only done when asked for, so that the plain command ends in about three."""
    items[:] = in_order(items, clusters=_main_clusters(config))
    too_long = {"docker", "slow", "vm"} - set(_required(config))
    for item in items:
        for kind in {marker.name for marker in item.iter_markers()} & too_long:
            item.add_marker(pytest.mark.skip(reason=f"{kind}: takes minutes; run with --require {kind}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """A test is skipped for want of something if it is marked so, or its reason begins so: ``docker: no engine``."""
    report = yield
    required = _required(item.config)
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        said = reason.removeprefix("Skipped: ")
        wanting = [name for name in required if item.get_closest_marker(name) or said.startswith(f"{name}:")]
        if wanting:
            report.outcome = "failed"
            report.longrepr = f"--require {', '.join(wanting)}: {said}"
    return report


@dataclass
class Lab:
    """A laptop, a fake provider with fake nodes, and the plugins of a test: what the operations work with."""

    home: Path
    provider: FakeProvider = field(default_factory=FakeProvider)
    connector: FakeConnector = field(default_factory=FakeConnector)
    events: list[Event] = field(default_factory=list)
    report: object = None

    def parts(
        self,
        plugins: Mapping[str, type] | None = None,
        *,
        name: str = "lab",
        options: Mapping[str, str] | None = None,
        **cluster: object,
    ) -> RunContext:
        """What wiring makes: the config goes through the real loader, the plugins through the real host."""
        plugins = plugins or {}
        changes = {key: str(value) for key, value in cluster.items()}
        settings = config.read_config(
            None,
            overrides={"plugins": ",".join(plugins), "cluster_user": "me", **changes, **(options or {})},
            environ={},
            find_plugin=lambda plugin, _: plugins[plugin],
        )
        return RunContext(
            name=name,
            settings=settings,
            provider=self.provider,
            plugin_host=PluginHost((choice.name, choice.plugin, choice.options) for choice in settings.plugins),
            folder=ClusterFolder(self.home, name),
            connector=self.connector,
            report=self.report or Reporter(self.events.append),
            overrides=changes,
        )

    @property
    def warnings(self) -> list[str]:
        return [event.text for event in self.events if event.kind == EventKind.WARNING]

    @property
    def said(self) -> list[str]:
        return [event.text for event in self.events]


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path / "laptop")
