"""Starts ipyparallel's controller, sooner than `python -m ipyparallel.controller` does."""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import Any


def prepare() -> None:
    """Load and change ipyparallel. Child processes that do not share this process's memory need it too."""
    gc.disable()  # what is imported stays: to look for garbage in it takes a tenth of the time
    sys.path[0] = str(Path.cwd())  # as with -m; the folder of this program holds no modules
    from .patches import lean_imports

    lean_imports.import_ipyparallel()
    lean_imports.import_controller()
    gc.freeze()  # eight copies of this process share it
    gc.enable()
    from ipyparallel.controller.app import Session

    from .patches import (
        cancelling_tasks,
        database_wait,
        draining,
        heartbeats,
        hub,
        parts,
        rejoining,
        short_cuts,
        signing_notice,
    )

    database_wait.apply()
    hub.apply()
    heartbeats.apply()
    parts.apply()
    rejoining.apply()
    cancelling_tasks.apply()  # it replaces a part of what the one before looks at
    draining.apply()
    short_cuts.apply()
    signing_notice.apply(Session)


def main(values: dict[str, Any]) -> None:
    """Run the controller: `config` is its configuration, `keys` the file of its CURVE keys, or null."""
    from ipyparallel.controller import app
    from traitlets.config import Config

    config = Config(values["config"])
    if values["keys"]:
        keys = json.loads(Path(values["keys"]).read_text(encoding="utf-8"))
        config.IPController.curve_publickey = keys["public"].encode()
        config.IPController.curve_secretkey = keys["secret"].encode()
    app.main(config=config)
