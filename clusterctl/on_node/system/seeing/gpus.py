"""What nvidia-smi tells of the GPUs. One process stays and tells it again and again: to start it costs most."""

from __future__ import annotations

import shutil
import subprocess
import threading
from typing import Any

_ASKED = "index,name,utilization.gpu,memory.used,memory.total"
_MIB = 1 << 20


class Gpus:
    """The GPUs of this machine, as nvidia-smi tells them; none where it is not there."""

    def __init__(self, every_s: float) -> None:
        self._known: dict[str, list[Any]] = {}
        self._process: subprocess.Popen[str] | None = None
        program = shutil.which("nvidia-smi")
        if program:
            words = [f"--query-gpu={_ASKED}", "--format=csv,noheader,nounits", f"--loop={max(1, round(every_s))}"]
            try:
                self._process = subprocess.Popen(
                    [program, *words],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    encoding="utf-8",
                    errors="replace",
                )
            except OSError:
                return
            threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            words = [word.strip() for word in line.split(",")]
            if len(words) == 5:
                busy, used, total = (_number(word) for word in words[2:])
                share = None if busy is None else min(1.0, busy / 100)
                sizes = [None if size is None else round(size * _MIB) for size in (used, total)]
                self._known[words[0]] = [words[1], share, *sizes]
        self._known = {}

    def read(self) -> list[list[Any]]:
        """Return for each GPU its name, its busy share, the bytes of memory that are used, and those that it has."""
        return list(self._known.values())

    def close(self) -> None:
        """End nvidia-smi."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def _number(word: str) -> float | None:
    """Return the number in a word; None for ``[N/A]``."""
    try:
        return float(word)
    except ValueError:
        return None
