"""Begins an environment with what a former one has, so that packages which come to it are all that is installed.

The variables CLUSTERCTL_FORMER and CLUSTERCTL_ENVIRONMENT have their paths: the script knows them, the laptop does not.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .environments.shared import grow


def main(values: dict[str, Any]) -> int:
    """Do it; 1 where the environment must be built from nothing."""
    del values
    return 0 if grow(Path(os.environ["CLUSTERCTL_FORMER"]), Path(os.environ["CLUSTERCTL_ENVIRONMENT"])) else 1
