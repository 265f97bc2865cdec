"""Kills clusterctl at its actions on the outside world, and repeats the command once: `python -m tests.kill --help`.

A trial brings a cluster into the state that the command starts from, runs the command in `tests/support/kill_trap.py`,
which ends it by SIGKILL at one of its actions, and runs the same command once more. It is well if that succeeds, the
cluster is what the command promises, and nothing is done twice. In the end `terminate` must leave no process, no
folder, no container, nothing in the account.

Results are kept in a file, one line a trial: a run that is cut off goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .support.kill_grounds import GROUNDS, NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .support.kill_grounds import Ground


@dataclass(frozen=True)
class Scene:
    """A command, the state that it starts from, and what it promises."""

    command: tuple[str, ...]
    prepare: Callable[[Ground], None]
    check: Callable[[Ground], str]
    """Returns what is wrong; empty if nothing is."""
    fresh: bool = False
    """Whether each trial begins without a cluster."""


def _nothing(ground: Ground) -> None:
    del ground


def _whole(ground: Ground) -> None:
    """Two nodes that are well, whatever the last trial left."""
    if ground.is_whole(2):
        ground.start()
        ground.must("resize", "-s", "2", "--yes", NAME)


def _three(ground: Ground) -> None:
    _whole(ground)
    ground.must("resize", "-s", "3", "--yes", NAME)


def _stopped(ground: Ground) -> None:
    _whole(ground)
    ground.must("stop", "--yes", NAME)


def _is_stopped(ground: Ground) -> str:
    done = ground.run("list", "--json")
    states = [cluster["state"] for cluster in json.loads(done.stdout[done.stdout.index("[") :])]
    return "" if states == ["stopped"] else f"states {states}"


def _has_file(path: str, content: str) -> Callable[[Ground], str]:
    def check(ground: Ground) -> str:
        done = ground.run("sshmaster", NAME, f"cat {path}; ls -A $(dirname {path}) | wc -l")
        return "" if done.stdout == f"{content}20\n" else f"{path}: {done.stdout[-80:]}"

    return check


def _got(ground: Ground) -> str:
    names = sorted(path.name for path in (ground.folder / "got").iterdir())
    whole = all((ground.folder / "got" / name).read_text() == (ground.put / name).read_text() for name in names)
    return "" if whole and len(names) == 20 else f"got {names}"


def _put_there(ground: Ground) -> None:
    _whole(ground)
    shutil.rmtree(ground.folder / "got", ignore_errors=True)
    ground.must("put", NAME, "put", "there")


def _no_image(ground: Ground) -> None:
    for image in _images(ground):
        ground.must("image", "remove", "--yes", image)


def _one_image(ground: Ground) -> str:
    images = _images(ground)
    return "" if len(images) == 1 and not ground.left() else f"images {images}, left {ground.left()}"


def _images(ground: Ground) -> list[str]:
    done = ground.run("image", "list", "--json")
    return [image["name"] for image in json.loads(done.stdout[done.stdout.index("[") :])]


START = ("start", "--yes", "-c", "{provider}", NAME)
BAKE = "image bake"
"""Not for local nodes and containers, which need no image."""
SCENES = {
    "start": Scene(START, _nothing, lambda ground: ground.is_whole(2), fresh=True),
    "start of a stopped one": Scene(("start", "--yes", NAME), _stopped, lambda ground: ground.is_whole(2)),
    "start again": Scene(("start", "--yes", NAME), _whole, lambda ground: ground.is_whole(2)),
    "addnode": Scene(("addnode", "--yes", NAME), _whole, lambda ground: ground.is_whole(3)),
    "resize": Scene(("resize", "-s", "3", "--yes", NAME), _whole, lambda ground: ground.is_whole(3)),
    "removenode by number": Scene(("removenode", "--yes", NAME), _three, lambda ground: ground.is_whole(2)),
    "removenode": Scene(("removenode", "--yes", "-a", "node002", NAME), _three, lambda ground: ground.is_whole(2)),
    "restart": Scene(("restart", "--yes", NAME), _whole, lambda ground: ground.is_whole(2)),
    "runplugin": Scene(("runplugin", "ipclusterrestart", NAME), _whole, lambda ground: ground.is_whole(2)),
    "runplugin mine": Scene(("runplugin", "mine", NAME), _whole, lambda ground: ground.is_whole(2)),
    "stop": Scene(("stop", "--yes", NAME), _whole, _is_stopped),
    "terminate": Scene(("terminate", "--yes", NAME), _whole, lambda ground: "; ".join(ground.left()), fresh=True),
    "put": Scene(("put", NAME, "put", "there"), _whole, _has_file("there/file7", "7\n" * 1000)),
    BAKE: Scene(("image", "bake", "--yes", "-c", "{provider}", "baked"), _no_image, _one_image, fresh=True),
    "get": Scene(("get", NAME, "there", "got"), _put_there, _got),
}


@dataclass
class Trial:
    """One kill, and what came of it."""

    scene: str
    provider: str
    whom: str
    at: int
    action: str
    """The kind of the action at which it was killed."""
    repeats: int
    """How many repeats it took until all was well; 9 if it never was."""
    why: str = ""
    """What was wrong after the first repeat."""
    left: list[str] = field(default_factory=list)


def count_actions(ground: Ground, name: str) -> list[str]:
    """The actions of a command that nobody kills."""
    scene = SCENES[name]
    scene.prepare(ground)
    done, actions = ground.run_trapped(0, "alone", *_words(scene, ground))
    assert done.returncode == 0, done.stdout
    if scene.fresh:
        ground.end()
    return actions


def _words(scene: Scene, ground: Ground) -> list[str]:
    return [word.format(provider=ground.provider) for word in scene.command]


def try_once(ground: Ground, name: str, at: int, whom: str) -> Trial | None:
    """Kill at this action, repeat, look. None if the command ended before it got there."""
    scene = SCENES[name]
    if scene.fresh:
        ground.end()
    scene.prepare(ground)
    _, actions = ground.run_trapped(at, whom, *_words(scene, ground))
    if len(actions) < at:
        return None
    trial = Trial(name, ground.provider, whom, at, actions[-1], 9)
    for repeat in (1, 2):
        done = ground.run(*_words(scene, ground))
        wrong = scene.check(ground) if done.returncode == 0 else f"status {done.returncode}: {done.stdout[-400:]}"
        if not wrong:
            trial.repeats = repeat
            break
        trial.why = trial.why or wrong
    if scene.fresh or trial.repeats != 1:
        trial.left = ground.end()
    return trial


def spread(total: int, points: int | None, seed: int | None) -> list[int]:
    """Which actions to kill at: all, or so many that are spread evenly, or drawn by a seed."""
    if points is None or points >= total:
        return list(range(1, total + 1))
    if seed is not None:
        return sorted(random.Random(seed).sample(range(1, total + 1), points))
    return sorted({1 + round(number * (total - 1) / max(1, points - 1)) for number in range(points)})


def run_scenes(
    provider: str, scenes: list[str], *, points: int | None, seed: int | None, whom: str, done: set[tuple[str, int]]
) -> Iterator[Trial]:
    """Yield the trials that are not done yet."""
    with tempfile.TemporaryDirectory(prefix="clusterctl-kill-") as folder, GROUNDS[provider](Path(folder)) as ground:
        for name in scenes:
            actions = count_actions(ground, name)
            kinds = Counter(actions)
            print(f"# {name}: {len(actions)} actions: {dict(kinds)}", flush=True)
            for at in spread(len(actions), points, seed):
                if (name, at) not in done and (trial := try_once(ground, name, at, whom)):
                    yield trial


def show(trials: list[Trial]) -> None:
    """Print the table, and each trial that was not well at once."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for trial in trials:
        row = table[f"{trial.scene}, {trial.provider}, {trial.whom}"]
        row["trials"] += 1
        row[{1: "first", 2: "second"}.get(trial.repeats, "worse")] += 1
        row["left"] += bool(trial.left)
    print(
        "\n| command, provider, killed | trials | well at the first repeat | at the second | worse | left something |"
    )
    print("|---|---|---|---|---|---|")
    for name, row in table.items():
        print(f"| {name} | {row['trials']} | {row['first']} | {row['second']} | {row['worse']} | {row['left']} |")
    kinds = Counter(trial.action for trial in trials)
    print(f"\nkinds of action killed at: {', '.join(f'{kind} {count}' for kind, count in kinds.most_common())}")


def main() -> None:
    """Run trials and print their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", metavar="COMMAND", help=f"default: all of {', '.join(SCENES)}")
    parser.add_argument("--provider", choices=sorted(GROUNDS), default="local")
    parser.add_argument("--points", type=int, help="kill at so many actions, spread evenly; default: at each")
    parser.add_argument("--seed", type=int, help="draw the points by this seed instead")
    parser.add_argument("--group", action="store_true", help="kill the whole process group")
    parser.add_argument("--results", type=Path, help="keep the trials in this file, and go on with it")
    options = parser.parse_args()
    whom = "group" if options.group else "alone"
    trials = []
    if options.results and options.results.exists():
        trials = [Trial(**json.loads(line)) for line in options.results.read_text().splitlines()]
    done = {(t.scene, t.at) for t in trials if (t.provider, t.whom) == (options.provider, whom)}
    scenes = options.scenes or [name for name in SCENES if name != BAKE or options.provider == "ec2"]
    for trial in run_scenes(options.provider, scenes, points=options.points, seed=options.seed, whom=whom, done=done):
        trials.append(trial)
        verdict = f"well after {trial.repeats}" if trial.repeats < 9 else "NEVER WELL"
        print(f"{trial.scene} at {trial.at} ({trial.action}): {verdict} {trial.why} {trial.left or ''}", flush=True)
        if options.results:
            with options.results.open("a") as file:
                file.write(json.dumps(asdict(trial)) + "\n")
    show(trials)
    sys.exit(any(trial.repeats != 1 or trial.left for trial in trials))


if __name__ == "__main__":
    main()
