"""A cluster without machines, for the tests of plugins and of clusterctl itself.

`fake_cluster(tmp_path)` is what a plugin's hook wants; look at `cluster.ran` afterwards::

    def test_my_plugin_writes_its_file_on_the_master(tmp_path):
        cluster = fake_cluster(tmp_path, answers={"my plugin: *": "done"})
        MyPlugin(Options()).clusterctl_join(cluster, cluster.master)
        assert "my.conf" in cluster.ran[0].text
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from clusterctl.cluster import Cluster
from clusterctl.errors import ProviderError, RemoteError
from clusterctl.events import Event
from clusterctl.model import MASTER, Facet, Layout, Machines, Node, NodeSpec, NodeState, Plan, Problem, Request
from clusterctl.providers.base import Image, ImageSource, ignore
from clusterctl.remote import Result

_FOLDER, _FILE = 0o040755, 0o100644


@dataclass(frozen=True)
class Ran:
    """One thing that was run on a node."""

    node: str
    name: str
    """A script's name, or the command itself."""
    text: str
    """The script or the command."""
    stdin: str = ""
    secret: bool = False
    timeout_s: float | None = None
    sudo: bool = False


Answer = Result | str | BaseException
"""What a command gives: a result, the stdout of a success, or an error that is raised."""
Answers = Mapping[str, "Answer | Callable[[Ran], Answer | None]"] | Callable[[Ran], "Answer | None"]
"""By name of script or command, with wildcards, the first match counts; or a function. Else: an empty success."""


def fake_node(alias: str = MASTER, *, cluster: str = "lab", **changes: Any) -> Node:
    """A node that runs, with any of its fields changed."""
    root = PurePosixPath("/fake") / cluster / alias
    node = Node(
        alias=alias,
        cluster=cluster,
        id=f"{cluster}-{alias}-1",
        state=NodeState.RUNNING,
        address="127.0.0.1",
        private_address="127.0.0.1",
        port=22,
        user="me",
        host_key=f"ssh-ed25519 AAAA{alias}",
        layout=Layout(
            env=root / "env",
            state=root / "state",
            logs=root / "logs",
            run=root / "run",
            home=root / "home",
            cache=root / "cache",
        ),
        facets=frozenset({Facet.DIRECT}),
        cores=2,
    )
    return replace(node, **changes)


class FakeRemote:
    """A node that answers from a table, remembers what it was told, and keeps its files in a dict.

    Attributes:
        ran: every command and script, oldest first.
        files: what is on it: path to content; `put` and `get` work on it.
        refusals: how many logins it still refuses, as a machine that boots does.
        down: it does not answer at all.
    """

    def __init__(self, node: Node, answers: Answers | None = None) -> None:
        self.node = node
        self.commands = 0
        self.ran: list[Ran] = []
        self.files: dict[PurePosixPath, bytes] = {}
        self.refusals = 0
        self.down = False
        self.closed = False
        self._answers: Answers = answers or {}
        self._lock = threading.Lock()

    def knock(self, then: Callable[[], None]) -> None:
        """Nothing has to be waited for."""
        then()

    def connect(self) -> None:
        """Log in, unless `down` or `refusals` say no."""
        with self._lock:
            refused = self.down or self.refusals > 0
            self.refusals = max(0, self.refusals - 1)
        if refused or self.closed:
            what = "the connection was lost" if self.closed else "does not answer"
            raise RemoteError(f"{self.node.alias} {what}", remedy="it is a fake: let it answer", node=self.node.alias)

    def run(
        self,
        command: str,
        *,
        stdin: str = "",
        check: bool = True,
        on_line: Callable[[str], None] | None = None,
        timeout_s: float | None = None,
        secret: bool = False,
        sudo: bool = False,
    ) -> Result:
        """Answer a command."""
        asked = Ran(self.node.alias, command, command, stdin, secret, timeout_s, sudo)
        return self._answer(asked, check=check, on_line=on_line)

    def run_script(
        self,
        script: str,
        *,
        name: str = "script",
        on_line: Callable[[str], None] | None = None,
        timeout_s: float | None = None,
        secret: bool = False,
        sudo: bool = False,
    ) -> Result:
        """Answer a script."""
        asked = Ran(self.node.alias, name, script, "", secret, timeout_s, sudo)
        return self._answer(asked, check=True, on_line=on_line)

    def put(self, local: Path, remote: PurePosixPath) -> None:
        """Keep a file."""
        self._transfer()
        self.files[remote] = local.read_bytes()

    def get(self, remote: PurePosixPath, local: Path) -> None:
        """Give a file back."""
        self._transfer()
        local.write_bytes(self.files[self._existing(remote)])

    def is_folder(self, path: PurePosixPath) -> bool:
        """Whether a file lies below this path."""
        self._transfer()
        return any(path in file.parents for file in self.files)

    def find(self, pattern: PurePosixPath) -> list[PurePosixPath]:
        """What matches; the last part may have wildcards."""
        if not any(sign in pattern.name for sign in "*?["):
            return [pattern]
        self._transfer()
        below = {PurePosixPath(*path.parts[: len(pattern.parts)]) for path in self.files}
        return sorted(p for p in below if p.parent == pattern.parent and fnmatchcase(p.name, pattern.name))

    def walk(self, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, PurePosixPath, int]]:
        """A path and all that is below it."""
        self._transfer()
        if path in self.files:
            yield path, PurePosixPath(), _FILE
            return
        below = [file for file in sorted(self.files) if path in file.parents]
        if not below:
            self._existing(path)
        folders = {parent for file in below for parent in file.parents if path in (parent, *parent.parents)}
        for found in sorted({*folders, *below}):
            yield found, found.relative_to(path), _FILE if found in self.files else _FOLDER

    def shell(self, command: str = "") -> int:
        """Answer a shell's command; its exit status."""
        return self._answer(Ran(self.node.alias, command, command), check=False, on_line=None).status

    def close(self) -> None:
        """Log out; nothing more is answered."""
        self.closed = True

    def _answer(self, asked: Ran, *, check: bool, on_line: Callable[[str], None] | None) -> Result:
        self.connect()
        with self._lock:
            self.commands += 1
            self.ran.append(asked)
        answer = self._look_up(asked)
        if isinstance(answer, BaseException):
            raise answer
        result = Result(0, answer, "") if isinstance(answer, str) else answer
        for line in result.stdout.splitlines() if on_line else ():
            on_line(line)  # type: ignore[misc]  # the loop is empty without it
        if check and result.status != 0:
            raise RemoteError(
                f"{asked.node}: {asked.name} ended with status {result.status}:\n{result.stderr or result.stdout}",
                remedy="see what the fake was told to answer",
                node=asked.node,
                status=result.status,
                output=result.stderr or result.stdout,
            )
        return result

    def _look_up(self, asked: Ran) -> Answer:
        found = self._answers
        if isinstance(found, Mapping):
            found = next((answer for pattern, answer in found.items() if fnmatchcase(asked.name, pattern)), "")  # type: ignore[assignment]
        answer = found(asked) if callable(found) else found
        return "" if answer is None else answer  # type: ignore[return-value]

    def _transfer(self) -> None:
        self.connect()
        with self._lock:
            self.commands += 1

    def _existing(self, path: PurePosixPath) -> PurePosixPath:
        if path not in self.files:
            raise RemoteError(f"{self.node.alias}: no such file: {path}", remedy="put it there", node=self.node.alias)
        return path


class FakeConnector:
    """Makes a `FakeRemote` for each node and boot, and keeps it: use it where a connector is wanted.

    Attributes:
        answers: what every remote answers.
        down: aliases that do not answer.
        refusals: by alias, how many logins are refused first.
    """

    def __init__(self, answers: Answers | None = None) -> None:
        self.answers = answers
        self.down: set[str] = set()
        self.refusals: dict[str, int] = {}
        self.files: dict[str, dict[PurePosixPath, bytes]] = {}
        self.remotes: list[FakeRemote] = []
        self._lock = threading.Lock()
        self._ran: list[Ran] = []

    def __call__(self, node: Node) -> FakeRemote:
        """A new connection to a node; its files are those that it had."""
        remote = FakeRemote(node, self._record)
        remote.down = node.alias in self.down
        with self._lock:
            remote.refusals = self.refusals.pop(node.alias, 0)
            remote.files = self.files.setdefault(node.alias, {})
            self.remotes.append(remote)
        return remote

    @property
    def ran(self) -> list[Ran]:
        """Everything that was run on any node, oldest first."""
        with self._lock:
            return list(self._ran)

    def _record(self, asked: Ran) -> Answer:
        with self._lock:
            self._ran.append(asked)
        return FakeRemote(fake_node(asked.node), self.answers)._look_up(asked)  # noqa: SLF001  our own class


@dataclass
class FakeProvider:
    """Machines in memory. The same promises as any provider's, and ways to break them.

    Attributes:
        facets: of every node.
        cores: of every node.
        calls: what was asked, such as ``create lab master node001``, oldest first.
        problems: what `check` answers.
        scarce: aliases of which `create` makes no machine.
        refusal: raised by the next `create`, which then makes nothing.
        stuck: aliases that `destroy` cannot end.
        machines: by cluster and alias.
    """

    facets: frozenset[Facet] = frozenset({Facet.DIRECT})
    cores: int | None = 2
    name: str = "fake"
    calls: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    refusal: BaseException | None = None
    scarce: set[str] = field(default_factory=set)
    stuck: tuple[str, ...] = ()
    machines: dict[tuple[str, str], Node] = field(default_factory=dict)
    _boots: int = 0

    def check(self, plan: Plan) -> list[Problem]:
        """What would stop this plan."""
        self.calls.append(f"check {plan.cluster}")
        return list(self.problems)

    def create(self, plan: Plan, *, public_key: str, report: Callable[[Event], None] = ignore) -> list[Node]:
        """Make what is missing, bring back what is stopped."""
        del public_key, report
        self.calls.append(" ".join(["create", plan.cluster, *(spec.alias for spec in plan.nodes)]))
        refusal, self.refusal = self.refusal, None
        if refusal is not None:
            raise refusal
        for spec in plan.nodes:
            if spec.alias in self.scarce:
                continue
            known = self.machines.get((plan.cluster, spec.alias))
            if known is None or known.state != NodeState.RUNNING:
                self.machines[plan.cluster, spec.alias] = self._boot(plan, spec)
        wanted = {spec.alias for spec in plan.nodes}
        return [node for node in self.nodes(plan.cluster) if node.alias in wanted]

    def nodes(self, cluster: str | None = None) -> list[Node]:
        """The machines that exist, the master first."""
        found = [node for (name, _), node in self.machines.items() if cluster in (None, name)]
        return sorted(found, key=lambda node: (node.cluster, not node.is_master, node.alias))

    def destroy(self, cluster: str, aliases: Sequence[str] | None = None) -> None:
        """End machines; those that are `stuck` stay, and are named."""
        self.calls.append(" ".join(["destroy", cluster, *(aliases or ())]))
        doomed = [node for node in self.nodes(cluster) if aliases is None or node.alias in aliases]
        for node in doomed:
            if node.alias not in self.stuck:
                del self.machines[cluster, node.alias]
        left = [node.alias for node in doomed if node.alias in self.stuck]
        if left:
            raise ProviderError(f"{', '.join(left)} of {cluster} cannot be ended", remedy="run `terminate` again")

    def stop(self, cluster: str) -> None:
        """Power the nodes off."""
        self.calls.append(f"stop {cluster}")
        for node in self.nodes(cluster):
            self.power_off(cluster, node.alias)

    def power_off(self, cluster: str, alias: str) -> None:
        """A machine stops by itself; its disk stays."""
        self.machines[cluster, alias] = replace(self.machines[cluster, alias], state=NodeState.STOPPED)

    def lose(self, cluster: str, alias: str) -> None:
        """A machine vanishes, as a spot instance does."""
        del self.machines[cluster, alias]

    def _boot(self, plan: Plan, spec: NodeSpec) -> Node:
        self._boots += 1
        return fake_node(
            spec.alias,
            cluster=plan.cluster,
            id=f"{plan.cluster}-{spec.alias}-{self._boots}",
            user=plan.user or "me",
            facets=self.facets,
            cores=self.cores,
            type=spec.types[0] if spec.types else "",
            market=spec.market,
        )


@dataclass
class FakeImageProvider(FakeProvider):
    """The same, whose nodes start from images.

    Attributes:
        baked: the images by name.
        sources: what `build_image` was asked for.
        images_of: by alias, the image that the node was made from.
    """

    baked: dict[str, Image] = field(default_factory=dict)
    sources: list[ImageSource] = field(default_factory=list)
    images_of: dict[str, str] = field(default_factory=dict)

    def create(self, plan: Plan, *, public_key: str, report: Callable[[Event], None] = ignore) -> list[Node]:
        """Make what is missing, and remember from what."""
        there = {node.alias for node in self.nodes(plan.cluster)}
        self.images_of |= {spec.alias: spec.image for spec in plan.nodes if spec.alias not in there}
        return super().create(plan, public_key=public_key, report=report)

    def image(self, base: str, content: str) -> str:
        """The baked image of this content."""
        return next((i.name for i in self.baked.values() if (i.base, i.content) == (base, content)), "")

    def save_image(self, cluster: str, base: str, content: str) -> str:
        """Make an image of the cluster's only node."""
        self.calls.append(f"save_image {cluster}")
        (_,) = self.nodes(cluster)
        name = f"{cluster}-{content}"
        self.baked[name] = Image(name, base=base, content=content, size_gb=1.0, made="2026-01-01T00:00:00+00:00")
        return name

    def images(self) -> list[Image]:
        """The baked images."""
        return list(self.baked.values())

    def remove_image(self, name: str) -> None:
        """Forget one."""
        self.calls.append(f"remove_image {name}")
        self.baked.pop(name, None)

    def build_image(self, source: ImageSource, report: Callable[[str], None]) -> str:
        """Say two lines, and remember what was asked for."""
        self.sources.append(source)
        report("Step 1 of 2")
        report("Step 2 of 2")
        return source.name or "usual"


class FakeCluster(Cluster):
    """A `Cluster` of fake nodes.

    Attributes:
        connector: makes and keeps the fake remotes.
        events: what the user was told, oldest first.
        remembered: what was kept with the cluster, by key.
    """

    connector: FakeConnector
    events: list[Event]
    remembered: dict[str, object]

    @property
    def ran(self) -> list[Ran]:
        """Everything that was run on any node, oldest first."""
        return self.connector.ran

    @property
    def said(self) -> list[str]:
        """The text of every event."""
        return [event.text for event in self.events]


def fake_cluster(
    folder: Path,
    *,
    nodes: int | Iterable[Node] = 3,
    answers: Answers | None = None,
    request: Request | None = None,
    notes: Mapping[str, object] | None = None,
    name: str = "lab",
    machines: Machines | None = None,
) -> FakeCluster:
    """A cluster to call a plugin's hooks with.

    Args:
        folder: where the laptop keeps the cluster's files: pytest's `tmp_path`.
        nodes: how many, the master and its workers; or the nodes themselves, made by `fake_node`.
        answers: what scripts and commands give, by their name.
        request: what all plugins want on every node.
        notes: what was remembered before.
        name: the cluster's.
        machines: what the template says of every machine; by default only that its user is ``me``.
    """
    if isinstance(nodes, int):
        aliases = [MASTER, *(f"node{number:03d}" for number in range(1, nodes))]
        nodes = [fake_node(alias, cluster=name) for alias in aliases]
    if folder.is_dir() and not (folder / "id_ed25519.pub").exists():
        (folder / "id_ed25519.pub").write_text(f"ssh-ed25519 AAAA clusterctl-{name}\n", encoding="utf-8")
    connector, events, remembered = FakeConnector(answers), list[Event](), dict(notes or {})
    cluster = FakeCluster(
        name,
        machines=machines or Machines("me"),
        nodes=nodes,
        request=request or Request(),
        folder=folder,
        connector=connector,
        report=events.append,
        notes=notes or {},
        remember=remembered.__setitem__,
    )
    cluster.connector, cluster.events, cluster.remembered = connector, events, remembered
    return cluster
