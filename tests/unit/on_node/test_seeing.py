"""The program that tells a node's load, as it is sent: on this machine, with GPUs of ours."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from clusterctl.node.programs import node_program
from clusterctl.on_node.system.seeing import load, looking
from clusterctl.operations.seeing.readings import parse_load

NVIDIA = """#!/bin/sh
echo "$@" >> {log}
while :; do
    echo "0, Tesla T4, 75, 1024, 15360"
    echo "1, Tesla T4, [N/A], 0, 15360"
    sleep 100
done
"""


@pytest.fixture
def told(allow_subprocess, tmp_path):
    """Have it told; return the running program."""
    program = tmp_path / "program.py"
    values = {"every_s": 1, "disks": ["/", str(tmp_path), "/no/such/folder"]}
    program.write_text(node_program("clusterctl.on_node.system.seeing.tell_load", values))
    log = tmp_path / "asked"
    smi = tmp_path / "nvidia-smi"
    smi.write_text(NVIDIA.format(log=log))
    smi.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": path},
    )
    with process:
        yield process, log
        process.kill()


def test_the_load_of_this_machine_and_its_end(told):
    process, log = told
    lines = [process.stdout.readline() for _ in range(2)]
    seen = parse_load(lines[1])
    assert seen.memory.total > seen.memory.used > 0
    assert seen.disks[0].name == "/"
    assert "/no/such/folder" not in [disk.name for disk in seen.disks]
    assert seen.cores >= 0.1
    assert [(gpu.name, gpu.busy, gpu.total) for gpu in seen.gpus] == [
        ("Tesla T4", 0.75, 15360 << 20),
        ("Tesla T4", None, 15360 << 20),
    ]
    process.stdin.close()
    assert process.wait(10) == 0
    assert process.stderr.read() == b""
    [asked] = log.read_text().splitlines()
    assert "--loop=1" in asked


def test_it_ends_where_nobody_reads_any_more(told):
    process, _ = told
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(20) == 0
    assert process.stderr.read() == b""


def test_a_container_has_numbers_of_its_own(monkeypatch):
    files = {
        "/proc/meminfo": "MemTotal: 1000 kB\nMemAvailable: 100 kB\n",
        "/sys/fs/cgroup/memory.current": "300000\n",
        "/sys/fs/cgroup/memory.max": "512000\n",
        "/sys/fs/cgroup/memory.stat": "anon 5\ninactive_file 100000\n",
        "/sys/fs/cgroup/cpu.max": "150000 100000\n",
        "/sys/fs/cgroup/cpu.stat": "usage_usec 3000000\nuser_usec 1\n",
    }
    moments = iter([10.0, 12.0])
    monkeypatch.setattr(load, "read_text", lambda path: files.get(path, ""))
    monkeypatch.setattr(load.time, "monotonic", lambda: next(moments))
    assert load.read_memory() == [200_000, 512_000]
    processors = load.Processors()
    assert processors.cores == 1.5
    files["/sys/fs/cgroup/cpu.stat"] = "usage_usec 4500000\n"
    assert processors.busy() == pytest.approx(0.5)


def test_a_system_that_tells_nothing(monkeypatch):
    monkeypatch.setattr(load, "read_text", lambda path: "")
    assert load.read_memory() is None
    assert load.Processors().busy() is None


def test_a_round_that_takes_long_is_followed_by_a_longer_pause():
    assert looking.pause_s(3, 0.001) == 3
    assert looking.pause_s(3, 1.0) == 200
