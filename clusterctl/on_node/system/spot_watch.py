"""Asks every few seconds whether this spot instance will be taken. If so, says when, and lets its engines go in time.

From the notice on they are given nothing new; 40 seconds before the end they are stopped, and jobs get
their signal.

Runs as root, with the machine's own Python, whichever that is.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypedDict

_ACTION = "/latest/meta-data/spot/instance-action"
_REBALANCE = "/latest/meta-data/events/recommendations/rebalance"
_TOKEN = "/latest/api/token"  # noqa: S105  a path
_HOURS_6 = "21600"
_NO_NOTICE, _TOKEN_IS_OLD = 404, 401
_LONGEST_S = 120
"""No notice comes earlier than this before the end: a later time means that a clock is wrong."""
_TELL = (
    'mkdir -p "$1" && find "$1" -type f -mtime +7 -delete;'
    ' printf "%s\\n" "$3" > "$1/.$2.new" && mv "$1/.$2.new" "$1/$2"'
)
_UNTELL = 'rm -f "$1/$2"'
_OVER = "--over"


class Notice(TypedDict):
    """What will be done to the instance, and when."""

    action: str
    time: str


def log(text: str) -> None:
    """Write a line of the service's log."""
    print(datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), text, flush=True)


class Metadata:
    """What the instance metadata service says, version 2: a token opens it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.token = ""
        # Never by way of the proxy that the node may have for everything else.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def notice(self) -> Notice | None:
        """Return the notice; None if there is none.

        Raises:
            OSError: the service does not answer.
            ValueError: it answers something else.
        """
        answer = self._ask_fields(_ACTION, "action", "time")
        return None if answer is None else {"action": answer["action"], "time": answer["time"]}

    def recommendation(self) -> str:
        """Return since when AWS recommends to replace this instance; empty where it does not.

        Raises:
            OSError: the service does not answer.
            ValueError: it answers something else.
        """
        answer = self._ask_fields(_REBALANCE, "noticeTime")
        return "" if answer is None else answer["noticeTime"]

    def _ask_fields(self, path: str, *names: str) -> dict[str, str] | None:
        try:
            answer = json.loads(self._get(path))
            return {name: str(answer[name]) for name in names}
        except urllib.error.HTTPError as exc:
            if exc.code == _NO_NOTICE:
                return None
            raise
        except (KeyError, TypeError) as exc:
            raise ValueError("not a notice") from exc

    def _get(self, path: str) -> str:
        try:
            return self._get_with_token(path)
        except urllib.error.HTTPError as exc:
            if exc.code != _TOKEN_IS_OLD:
                raise
        self.token = ""
        return self._get_with_token(path)

    def _get_with_token(self, path: str) -> str:
        if not self.token:
            self.token = self._ask("PUT", _TOKEN, {"X-aws-ec2-metadata-token-ttl-seconds": _HOURS_6})
        return self._ask("GET", path, {"X-aws-ec2-metadata-token": self.token})

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> str:
        request = urllib.request.Request(self.url + path, headers=headers, method=method)  # noqa: S310  checked: http
        with self._opener.open(request, timeout=5) as answer:
            return str(answer.read().decode())


class Watch:
    """What is known, and what was done about it."""

    def __init__(self, metadata: Any, settings: dict[str, Any]) -> None:
        self._metadata = metadata
        self._settings = settings
        self._notice: Notice | None = None
        self._recommended = ""
        self._drains = False
        """Whether the controller was told, and not told since that it is over."""
        self._teller: Any = None
        """The process that tells it."""
        self._tells_end = False
        self._stop_at: float | None = None
        """On the clock that nobody sets; None: there is nothing to stop, or it was stopped."""
        self._trouble = ""

    def look(self) -> float:
        """Look once; return how many seconds the next look may wait."""
        notice, recommended, trouble = self._notice, self._recommended, ""
        try:
            notice = self._metadata.notice()
            recommended = self._metadata.recommendation()
        except (OSError, ValueError) as exc:
            trouble = str(exc)
        if trouble != self._trouble:
            log(f"the metadata service does not answer: {trouble}" if trouble else "the metadata service answers again")
            self._trouble = trouble
        if notice != self._notice:
            self._notice = notice
            self._tell()
        if recommended != self._recommended:
            self._recommended = recommended
            self._tell_recommendation()
        self._tell_controller()
        poll_s: float = self._settings["poll_s"]
        if self._stop_at is None:
            return poll_s
        left_s = self._stop_at - time.monotonic()
        if left_s > 0:
            return min(poll_s, left_s)
        self._stop_at = None
        log("the engines are stopped")
        code = subprocess.call(self._settings["stop"], stdin=subprocess.DEVNULL)
        log("the engines are gone" if code == 0 else f"stopping the engines ended with status {code}")
        return poll_s

    def _tell(self) -> None:
        """Tell this node's tasks, and the master by the home that all share."""
        self._stop_at = None
        path = Path(self._settings["notice"])
        if self._notice is None:
            log("the notice was taken back")
            if path.exists():
                path.unlink()
            self._run_as_user(_UNTELL)
            return
        text = f"{self._notice['time']} {self._notice['action']}"
        log(f"this instance will be taken: {text}")
        self._stop_at = time.monotonic() + max(0, seconds_to(self._notice["time"]) - self._settings["lead_s"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(0o755)  # after a boot it may be closed, and tasks and engines look for the file
        draft = path.with_name(f"{path.name}.new")
        draft.write_text(f"{text}\n", encoding="utf-8")
        draft.chmod(0o644)
        draft.replace(path)
        self._run_as_user(_TELL, text)

    def _tell_recommendation(self) -> None:
        """Tell the master: what runs here is left alone, since many recommendations are followed by nothing."""
        if self._recommended:
            log(f"AWS recommends since {self._recommended} to replace this instance: it may be taken")
            self._run_as_user(_TELL, self._recommended, suffix=self._settings["hint_suffix"])
        else:
            log("the recommendation was taken back")
            self._run_as_user(_UNTELL, suffix=self._settings["hint_suffix"])

    def _tell_controller(self) -> None:
        """Have the engines given nothing new, again and again: a controller that started anew knows nothing of it."""
        self._drains = self._drains or self._notice is not None
        if not self._drains or (self._teller is not None and self._teller.poll() is None):
            return
        if self._teller is not None and self._tells_end and self._notice is None and self._teller.returncode == 0:
            self._drains, self._teller = False, None
            return
        self._tells_end = self._notice is None
        words = [*self._settings["drain"], *([_OVER] if self._tells_end else [])]
        self._teller = subprocess.Popen(words, cwd="/", stdin=subprocess.DEVNULL)

    def _run_as_user(self, script: str, *words: str, suffix: str = "") -> None:
        # Not waited for: the home may hang, and the engines must go all the same.
        settings = self._settings
        command = [
            "runuser",
            "-u",
            settings["user"],
            "--",
            "sh",
            "-c",
            script,
            "sh",
            settings["shared"],
            settings["mark"] + suffix,
        ]
        subprocess.Popen([*command, *words], cwd="/", stdin=subprocess.DEVNULL)


def seconds_to(end: str) -> float:
    """Return how long it is until this time, as far as a notice can mean it."""
    try:
        at = datetime.strptime(end, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return _LONGEST_S
    return min(_LONGEST_S, at.timestamp() - time.time())


def main(values: dict[str, Any]) -> None:
    """Watch until the machine ends; the values are those that the `spot` plugin makes."""
    watch = Watch(Metadata(values["url"]), values)
    log(f"asking {values['url']} every {values['poll_s']} s")
    while True:
        time.sleep(watch.look())
