"""The talk's config file, and what is done and looked at on instances."""

from __future__ import annotations

SECTIONS = """
[global]
DEFAULT_TEMPLATE=ip

[key mykey]
KEY_LOCATION=~/.ssh/mykey.rsa

[plugin ipcluster]
SETUP_CLASS = starcluster.plugins.ipcluster.IPCluster
ENABLE_NOTEBOOK = True
NOTEBOOK_DIRECTORY = notebooks

[plugin ipclusterrestart]
SETUP_CLASS = starcluster.plugins.ipcluster.IPClusterRestartEngines

[plugin ippackages]
setup_class = pypackage.PyPackageSetup
packages = msgpack-python, ipython, scikit-learn
"""
"""What its templates are made of, as it was shown."""
CONFIG = (
    SECTIONS
    + """
[plugin aptpackages]
PACKAGES = less

[cluster ip]
KEYNAME = mykey
CLUSTER_USER = iptest
NODE_IMAGE_ID = debian-12
NODE_INSTANCE_TYPE = c7i.large, c7a.large
DISABLE_QUEUE = True
SPOT_BID = 0.10
PLUGINS = ippackages, aptpackages, ipcluster
"""
)
"""The talk's, with another image and other types, and a system package."""
LIST_HOME = (
    r"find . \( -path ./.clusterctl -o -path ./.local/share/jupyter/runtime \) -prune"
    " -o -type f -exec sha256sum {} + | sort"
)
"""All files but what services write that run."""
SLOW_MAP = """
def where(item):
    import os
    return os.environ["CLUSTERCTL_NODE"]

def linger(item):
    import time
    time.sleep(0.5)
    return item, where(item)

slow = client.pool().map_async(linger, range(60))
"""
