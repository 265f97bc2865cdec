"""Seals the environment that containers share in the cache of their engine, or looks whether it is whole.

Its path is in the variable CLUSTERCTL_ENVIRONMENT: the script knows it, and not the laptop.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .environments import manifest
from .environments.shared import find_fault


def main(values: dict[str, Any]) -> int:
    """Do the `act` ``seal``, or ``look`` for the `command` of this id: 1 where the environment must be made anew."""
    folder = Path(os.environ["CLUSTERCTL_ENVIRONMENT"])
    if values["act"] == "seal":
        manifest.seal(folder)
        return 0
    fault = find_fault(folder, values["command"])
    if fault:
        print(f"note: the packages were damaged ({fault}) and are made anew")
    return 1 if fault else 0
