"""Records a real run in a terminal and draws it: docs/terminal.svg.

    pip install pyte
    python docs/record_terminal.py [FILE.svg]

The clusterctl beside this Python is used, with a folder of its own and the user's caches; whoever runs this is shown as
`me`, and the folder as the home of `me`. What was started is terminated, also when the recording fails.
"""

from __future__ import annotations

import fcntl
import getpass
import io
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

COLUMNS, LINES = 104, 60
SHOWN_HOME = "/home/me"
FONTS = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
PYTHON = (
    "import os",
    "from ipyparallel import Client",
    "client = Client({client_file!r})",
    "client[:].apply_sync(os.getenv, 'CLUSTERCTL_NODE')",
)
TIMEOUT_S = 300.0


class Terminal:
    """A program in a terminal, and what its screen shows in the end: redrawn lines in their last state."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str]) -> None:
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=dict(env), start_new_session=True
        )
        os.close(theirs)
        self._deadline = time.monotonic() + TIMEOUT_S
        self._typed_at = -1

    def type(self, line: str) -> None:
        """Type a line and press Enter."""
        self._typed_at = self._screen.cursor.y
        os.write(self._ours, f"{line}\n".encode())

    def wait(self, prompt: str | None = None) -> list[Text]:
        """Wait for the prompt below what was typed, or for the program's end; returns the lines."""
        while prompt is None or not self._prompts(prompt):
            if time.monotonic() > self._deadline:
                self._process.kill()
                sys.exit("the program did not end in time:\n" + "\n".join(self._screen.display))
            if not select.select([self._ours], [], [], 0.2)[0]:
                continue
            try:
                data = os.read(self._ours, 65536)
            except OSError:  # the last user of the terminal is gone
                data = b""
            if not data:
                if prompt is not None or self._process.wait():
                    sys.exit("the program failed:\n" + "\n".join(self._screen.display))
                break
            self._stream.feed(data)
        return list(self._lines())

    def _prompts(self, prompt: str) -> bool:
        y = self._screen.cursor.y
        return y > self._typed_at and self._screen.display[y].rstrip() == prompt

    def _lines(self) -> Iterator[Text]:
        last = max((y for y, line in enumerate(self._screen.display) if line.strip()), default=-1)
        for y in range(last + 1):
            text = Text()
            for x in range(COLUMNS):
                cell = self._screen.buffer[y][x]
                text.append(cell.data, Style(color=_color(cell.fg), bold=cell.bold))
            text.rstrip()
            yield text


def _typed(command: str) -> Text:
    return Text.assemble(("$ ", "bold green"), (command, "bold white"))


def _color(name: str) -> str | None:
    if name == "default":
        return None
    return f"#{name}" if re.fullmatch(r"[0-9a-f]{6}", name) else {"brown": "yellow"}.get(name, name)


def record(home: Path, env: Mapping[str, str]) -> list[Text]:
    """Start, list, ask from Python, terminate."""
    clusterctl = str(Path(sys.executable).with_name("clusterctl"))
    lines: list[Text] = []

    def run(*arguments: str) -> None:
        lines.append(_typed(" ".join(["clusterctl", *arguments])))
        lines.extend(Terminal([clusterctl, *arguments], env).wait())
        lines.append(Text())

    try:
        run("start", "-s", "3", "mycluster")
        run("list")
        lines.append(_typed("python"))
        lines.extend(_python(home / ".clusterctl" / "clusters" / "mycluster" / "client.json", env))
        lines.append(Text())
        run("terminate", "--yes", "mycluster")
    finally:
        subprocess.run([clusterctl, "terminate", "--yes", "mycluster"], env=dict(env), capture_output=True, check=False)
    return lines[:-1]


def _python(client_file: Path, env: Mapping[str, str]) -> list[Text]:
    terminal = Terminal([sys.executable, "-q"], env)
    for line in PYTHON:
        terminal.wait(">>>")
        terminal.type(line.format(client_file=str(client_file)))
    lines = terminal.wait(">>>")
    terminal.type("exit()")
    terminal.wait()
    return lines[:-1]


def _renamed(line: Text, home: Path) -> Text:
    """The line with the folder of this run shown as a home, and the user's name as that home's."""
    shown, at = Text(), 0
    for found in re.finditer(f"{re.escape(str(home))}|(?<= for ){re.escape(getpass.getuser())}(?=, in )", line.plain):
        shown += line[at : found.start()] + Text(SHOWN_HOME if found[0] == str(home) else Path(SHOWN_HOME).name)
        at = found.end()
    return shown + line[at:]


def draw(lines: Sequence[Text]) -> str:
    """The picture, with fonts of the reader's own machine: nothing is fetched."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in lines:
        console.print(line, soft_wrap=True)
    svg = console.export_svg(title="clusterctl", unique_id="clusterctl")
    svg = re.sub(r"@font-face\s*{.*?}\s*", "", svg, flags=re.DOTALL)
    return re.sub(r"font-family:\s*(Fira Code|arial)[^;]*;?", f"font-family: {FONTS};", svg)


def main() -> None:
    """Record, draw, write."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("terminal.svg")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    # Short, or the longest line would wrap.
    home = Path(tempfile.mkdtemp(prefix="me-", dir="/tmp"))
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("CLUSTERCTL_", "PYTHON"))}
    env = {
        **kept,
        "HOME": str(home),
        "XDG_CACHE_HOME": str(cache),
        "CLUSTERCTL_HOME": str(home / ".clusterctl"),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "INPUTRC": "/dev/null",
        "PYTHON_BASIC_REPL": "1",
    }
    try:
        lines = [_renamed(line, home) for line in record(home, env)]
    finally:
        shutil.rmtree(home, ignore_errors=True)
    target.write_text(draw(lines), encoding="utf-8")
    print(f"written: {target}")


if __name__ == "__main__":
    main()
