"""Makes ``joblib.parallel_config("clusterctl")`` known: import it, and joblib's work goes to the engines of a cluster.

They are those of the client that was connected last, or of one that is connected for it, as `clusterctl.connect` does.
"""

from __future__ import annotations

import clusterctl
from clusterctl.compute.learning.backend import register

register(clusterctl.connect)
