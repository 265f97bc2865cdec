"""One engine a GPU, on local nodes with another program in the place of nvidia-smi: each engine sees its own."""

from __future__ import annotations

import json
import os

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

CODE = """
import clusterctl
client = clusterctl.connect("lab", wait=True)
def look():
    import os
    return os.environ["CLUSTERCTL_NODE"], os.environ.get("CUDA_VISIBLE_DEVICES")
print(__import__("json").dumps(client[:].apply_sync(look)))
client.close()
"""
START = ("start", "-s", "2", "--set", "ipcluster.engines_per_node=gpu")
SMI = """#!/bin/sh
case $CLUSTERCTL_NODE in
    node001) echo 'GPU 0: T4 (UUID: GPU-0)'; echo 'GPU 1: T4 (UUID: GPU-1)' ;;
    *) echo 'No devices were found'; exit 6 ;;
esac
"""


def test_each_engine_sees_its_own_and_where_there_is_none_a_start_says_so(new_laptop, tmp_path):
    smi = tmp_path / "nvidia-smi"
    smi.write_text(SMI)
    smi.chmod(0o755)
    laptop = new_laptop(more={"PATH": f"{tmp_path}:{os.environ['PATH']}", "CUDA_VISIBLE_DEVICES": "7"})
    laptop.run(*START, "lab")
    assert json.loads(laptop.python(CODE)) == [["node001", "0"], ["node001", "1"]]
    said = laptop.run("addnode", "lab", status=1)
    assert "node002: nvidia-smi shows no GPU" in said.stderr
