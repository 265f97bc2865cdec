"""Says whether a kernel of the notebook server runs a cell."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any, Callable

_WAIT_S = 5.0
_MOST_BYTES = 4 << 20


def main(values: dict[str, Any]) -> Callable[[], str]:
    """Return what asks the server whose `port` and `token` are in a JSON file, `file`."""

    def ask() -> str:
        try:
            about = json.loads(Path(values["file"]).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return ""
        connection = http.client.HTTPConnection("127.0.0.1", int(about["port"]), timeout=_WAIT_S)
        try:
            connection.request("GET", "/api/kernels", headers={"Authorization": f"token {about['token']}"})
            answer = connection.getresponse()
            kernels = json.loads(answer.read(_MOST_BYTES)) if answer.status == http.client.OK else []
        except ConnectionRefusedError:
            return ""  # one that does not run has no kernels
        finally:
            connection.close()
        busy = [kernel for kernel in kernels if isinstance(kernel, dict) and kernel.get("execution_state") == "busy"]
        return f"{len(busy)} kernel{'' if len(busy) == 1 else 's'} of the notebook" if busy else ""

    return ask
