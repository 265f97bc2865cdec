"""Opens the user's shell for a terminal of JupyterLab: the cluster's programs first, and where one is in its prompt."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

_NO_SHELLS = ("", "nologin", "false")


def main(values: dict[str, Any]) -> None:
    """Take this process's place.

    `programs` are the folders that come first, `here` begins the prompt, and `login` says whether the system sees
    to both by files that a login shell reads.
    """
    try:
        shell = pwd.getpwuid(os.getuid()).pw_shell
    except KeyError:
        shell = ""
    if Path(shell).name in _NO_SHELLS or not os.access(shell, os.X_OK):
        shell = "/bin/sh"
    path = [*values["programs"], *os.environ.get("PATH", os.defpath).split(os.pathsep)]
    environment = {**os.environ, "SHELL": shell, "PATH": os.pathsep.join(dict.fromkeys(path))}
    name = Path(shell).name
    if values["login"]:
        name = f"-{name}"
    else:
        here = values["here"]
        # bash reads a file that sets another one, so it is done before each prompt.
        prompt = f'case $PS1 in "{here}"*) ;; *) PS1="{here}$PS1" ;; esac'
        environment |= {"PROMPT_COMMAND": prompt} if name == "bash" else {"PS1": f"{here}$ "}
    os.execve(shell, [name], environment)  # noqa: S606  it is the user's
