"""Starts ipyparallel's engine: sooner than `python -m ipyparallel.engine`, and in the place of a dead one of its id."""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path
from typing import Any

_TAKE_OVER_S = 120.0
_ID = "--IPEngine.id="
_LOOK_S = 2.0


def load(log: str = "") -> None:
    """Load and change ipyparallel, for an engine with this log."""
    gc.disable()  # what is imported stays: to look for garbage in it takes a tenth of the time
    sys.path[0] = str(Path.cwd())  # as with -m; the folder of this program holds no modules
    from .patches import lean_imports

    lean_imports.import_debugger()
    lean_imports.import_ipyparallel()
    from ipyparallel.engine import app  # while nobody looks for garbage
    from ipyparallel.serialize import codeutil

    gc.freeze()
    gc.enable()
    from .patches import cancelling, nanny, other_python, short_cuts, signing_notice

    cancelling.apply()
    nanny.apply(log)
    short_cuts.apply()
    signing_notice.apply(app.Session)
    other_python.apply(codeutil)


def take_over(number: str, connection_file: str) -> None:
    """Have the controller forget the engine that had this id: a machine that lost its power says no goodbye.

    Nor does an engine that a restarted controller believes in: without a beat it is never found dead. To wait here
    for the controller costs nothing, as the engine would wait for it next.
    """
    from .hub_client import forget_engines

    forget_engines(connection_file, [number], _TAKE_OVER_S)


def wait_for_future(notice: str) -> None:
    """Wait while a file says that this node will be taken: what an engine began here would be lost."""
    told = False
    while os.path.exists(notice):  # noqa: PTH110  a folder that is closed to us has none; Path raises there
        if not told:
            print("this node will be taken: no engine starts here", flush=True)
            told = True
        time.sleep(_LOOK_S)


def main(values: dict[str, Any]) -> None:
    """Run the engine.

    `config` is its configuration, `connection` the file that says where the controller is, `environment` are variables
    that it has, `own` those of each engine by its id, and `defaults` those that it has where nobody set them. `log` is
    its log, with `{number}` for its id. While the file `notice` is there it waits.
    """
    # supervisord gives it a pipe into which nobody writes: a task that reads would wait for ever.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    wait_for_future(values["notice"])
    own = str(Path(sys.executable).parent)  # what a task starts is the cluster's too
    if own not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([own, os.environ.get("PATH", os.defpath)])
    number = next((word.partition("=")[2] for word in sys.argv if word.startswith(_ID)), "")
    os.environ.update({**values.get("defaults", {}), **os.environ, **values.get("environment", {})})
    os.environ.update(values.get("own", {}).get(number, {}))
    load(values.get("log", "").replace("{number}", number))
    if number:
        take_over(number, values["connection"])
    from ipyparallel.engine import app
    from traitlets.config import Config

    app.main(config=Config(values["config"]))
