"""Prints what clients say that waits for engines, as JSON. Runs as the cluster user, whose files it reads."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from . import home_files
from .demand import in_date_at

_MOST = 200
"""Files that are told of: those with the most items."""


def main(values: dict[str, Any]) -> None:
    """Look into the home `home`."""
    demands = in_date_at(home_files.read_demand(Path(values["home"]) / ".clusterctl"), time.time())
    most = sorted(demands.values(), key=lambda demand: -demand.items)[:_MOST]
    print(json.dumps([[demand.items, demand.item_s, demand.engines] for demand in most]))
