"""Tells people what becomes of the cluster: on terminals, in notebooks, and by a command or a web hook of theirs."""

from __future__ import annotations

import json
import subprocess
import threading
import urllib.request
from typing import TYPE_CHECKING

from . import home_files

if TYPE_CHECKING:
    from .home import Home
    from .people import People
    from .records import Terms

_LIMIT_S = 30.0


def warn(home: Home, people: People, text: str) -> None:
    """Warn on terminals and in notebooks; without a text, take the warning back."""
    if text:
        people.tell(home.uid(), text)
    home.look(home_files.WARNING, text)


def notify(home: Home, terms: Terms, event: str, text: str, *, wait: bool = False) -> None:
    """Tell whom NOTIFY names. What fails there is no reason not to end.

    Args:
        home: the home.
        terms: the terms.
        event: ``warned``, ``ending``, ``ended``, ``cost``, ``held`` or ``failed``; ``done`` or ``interrupted``.
        text: what happens.
        wait: until it is told, or the time for it is over: the machine may be gone at once.
    """
    if not terms.notify:
        return
    telling = threading.Thread(target=_tell, args=(home, terms, event, text), daemon=True)
    telling.start()
    if wait:
        telling.join(_LIMIT_S)


def _tell(home: Home, terms: Terms, event: str, text: str) -> None:
    content = json.dumps({"cluster": terms.cluster, "event": event, "text": f"{terms.cluster}: {text}"})
    try:
        if terms.notify.startswith(("http://", "https://")):
            request = urllib.request.Request(  # noqa: S310  checked: http
                terms.notify, content.encode(), {"Content-Type": "application/json"}
            )
            urllib.request.urlopen(request, timeout=_LIMIT_S).close()  # noqa: S310
            return
        said = {"CLUSTERCTL_EVENT": event, "CLUSTERCTL_CLUSTER": terms.cluster, "CLUSTERCTL_TEXT": text}
        subprocess.run(
            ["/bin/sh", "-s"],
            input=terms.notify,
            text=True,
            timeout=_LIMIT_S,
            check=True,
            cwd=home.folder,
            env={**home.environment(), **said},
            **home.user(),
        )
    except (OSError, ValueError, subprocess.SubprocessError) as exc:
        # Not what it says of where it went: the address of a web hook is a secret.
        print(f"NOTIFY was not told of {event}: {type(exc).__name__}", flush=True)
