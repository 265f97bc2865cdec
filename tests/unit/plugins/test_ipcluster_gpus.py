"""One engine a GPU: nvidia-smi, here another program in its place, counts them, and each engine sees its own."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
from clusterctl_plugins.ipcluster import IPCluster
from clusterctl_plugins.ipcluster.daemons import engine_service, start_programs
from clusterctl_plugins.ipcluster.gpus import count_gpus, forget_gpus
from clusterctl_plugins.ipcluster.options import Options

from clusterctl import hub
from clusterctl.api import RemoteError
from clusterctl.node.render import render
from clusterctl.testing import fake_cluster, fake_node

GPU = Options(engines_per_node="gpu")
COUNT = "ipcluster: count GPUs"


@pytest.fixture
def counted(tmp_path, allow_subprocess):
    """What the script says on a node whose nvidia-smi is this shell program; None for a node without one."""

    def counted(program, *, spare=False, extra=""):
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        for name in ("sed", "head", "cut", "timeout", "yes"):
            if not (folder / name).exists():
                (folder / name).symlink_to(f"/usr/bin/{name}")
        if program is not None:
            (folder / "nvidia-smi").write_text(f'#!/bin/sh\n[ "$*" = -L ] || exit 2\n{program}\n')
            (folder / "nvidia-smi").chmod(0o755)
        script = extra + render("ipcluster_gpus.sh.j2", spare=spare)
        ran = subprocess.run(
            ["/bin/sh", "-s"], input=script, env={"PATH": str(folder)}, capture_output=True, text=True, check=False
        )
        return ran.returncode, (ran.stdout + ran.stderr).splitlines()

    return counted


class TestCounting:
    def test_each_gpu_is_a_fact_and_its_parts_are_none(self, counted):
        said = (
            "echo 'GPU 0: NVIDIA A100-SXM4 (UUID: GPU-5c89852c)'\n"
            "echo '  MIG 3g.20gb Device 0: (UUID: MIG-1c2)'\n"
            "echo 'GPU 1: NVIDIA A100-SXM4 (UUID: GPU-f3e4)'\n"
            "echo 'GPU 2: Old'"
        )
        assert counted(said) == (0, ["fact: 0 GPU-5c89852c", "fact: 1 GPU-f3e4", "fact: 2 "])

    def test_one_that_is_lost_hides_no_other(self, counted):
        said = "echo 'Unable to determine the device handle for GPU 0000:01:00.0: GPU is lost' >&2\n"
        assert counted(f"{said}echo 'GPU 1: T4 (UUID: GPU-1)'\nexit 15") == (0, ["fact: 1 GPU-1"])

    @pytest.mark.parametrize(
        ("program", "error"),
        [
            (None, "there is no nvidia-smi"),
            ("echo 'No devices were found'; exit 6", "shows no GPU"),
            ("echo 'No devices found.'", "shows no GPU"),
            ("exit 0", "shows no GPU"),
            (
                "echo 'NVIDIA-SMI has failed because it could not reach the driver'; exit 9",
                "could not reach the driver",
            ),
            ("echo; exit 255", "nvidia-smi fails"),
            ("exit 124", "not answered for 60 s"),
            ("yes | head -n 100000; exit 1", "nvidia-smi fails: y"),
        ],
    )
    def test_where_there_is_none_the_error_says_so_and_what_helps(self, counted, program, error):
        status, (told, remedy) = counted(program)
        assert status == 65
        assert error in told
        assert told.startswith("error: ")
        assert remedy.startswith("try: ")

    @pytest.mark.parametrize("program", [None, "echo 'No devices were found'; exit 6"])
    def test_a_master_with_workers_may_have_none(self, counted, program):
        status, lines = counted(program, spare=True)
        assert (status, len(lines)) == (0, 1)
        assert lines[0].startswith("note: ")

    def test_a_driver_that_fails_is_an_error_there_too(self, counted):
        assert counted("echo failed; exit 9", spare=True)[0] == 65


def lab(folder, gpus, *, nodes=("master", "node001", "node002")):
    """A cluster whose nodes show so many GPUs, by alias: each with ids of its own, or those that are given."""

    def answer(ran):
        if ran.name != COUNT:
            return '{"engine": "file"}' if ran.name == "ipcluster: controller and engines" else ""
        shown = gpus[ran.node]
        ids = [f"GPU-{ran.node}-{number}" for number in range(shown)] if isinstance(shown, int) else shown
        return "".join(f"fact: {number} {gpu}\n" for number, gpu in enumerate(ids))

    return fake_cluster(folder, nodes=[fake_node(alias, cores=8) for alias in nodes], answers=answer)


def own_variables(cluster, node, options=GPU):
    text = start_programs(cluster, node, hub.engine_ids(cluster)[node.alias], options)["ipengine.py"]
    return json.loads(eval(re.search(r"run\(program, (.*)\)$", text, re.MULTILINE)[1]))["own"]


class TestEngines:
    def test_a_node_has_one_a_gpu_which_sees_no_other(self, tmp_path):
        cluster, one = lab(tmp_path, {"master": 0, "node001": 2, "node002": 1}), IPCluster(GPU)
        for alias in ("master", "node001", "node002"):
            one.clusterctl_join(cluster, cluster.node(alias))
        assert hub.engine_ids(cluster) == {"master": range(0), "node001": range(2), "node002": range(2, 3)}
        seen = {
            engine: values["CUDA_VISIBLE_DEVICES"]
            for node in cluster.nodes
            for engine, values in own_variables(cluster, node).items()
        }
        assert seen == {"0": "0", "1": "1", "2": "0"}
        assert own_variables(cluster, cluster.node("node002"))["2"]["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"

    def test_a_node_that_has_more_the_next_time_gets_engines_for_them(self, tmp_path):
        gpus = {"master": 1, "node001": 1, "node002": 1}
        cluster, one = lab(tmp_path, gpus), IPCluster(GPU)
        for node in cluster.nodes:
            one.clusterctl_join(cluster, node)
        gpus["node001"] = 4
        one.clusterctl_join(cluster, cluster.node("node001"))
        assert hub.engine_ids(cluster)["node001"] == range(3, 7)

    def test_a_master_with_a_number_of_its_own_is_not_asked(self, tmp_path):
        options = Options(engines_per_node="gpu", master_engines=3)
        cluster = lab(tmp_path, {"node001": 1, "node002": 1})
        IPCluster(options).clusterctl_join(cluster, cluster.master)
        assert hub.engine_ids(cluster)["master"] == range(3)
        assert own_variables(cluster, cluster.master, options) == {}

    def test_nodes_on_one_computer_are_said_to_share_its_gpus(self, tmp_path):
        cluster, one = lab(tmp_path, {"master": ["GPU-a"], "node001": ["GPU-a"], "node002": 1}), IPCluster(GPU)
        for node in cluster.nodes:
            one.clusterctl_join(cluster, node)
        (said,) = cluster.said
        assert said.startswith("node001 has the same 1 GPU as master: ")

    def test_a_node_that_leaves_is_counted_anew(self, tmp_path):
        cluster, one = lab(tmp_path, {"master": 1, "node001": 2, "node002": 1}), IPCluster(GPU)
        for node in cluster.nodes:
            one.clusterctl_join(cluster, node)
        forget_gpus(cluster, cluster.node("node001"), one._lock)
        assert set(cluster.recall("ipcluster gpus")) == {"master", "node002"}

    def test_who_has_none_raises_what_the_node_said(self, tmp_path):
        def refuse(ran):
            raise RemoteError("x", remedy="y", status=65, output="error: nvidia-smi shows no GPU\ntry: another\n")

        cluster = fake_cluster(tmp_path, nodes=[fake_node("master")], answers=refuse)
        with pytest.raises(RemoteError, match="master: nvidia-smi shows no GPU") as caught:
            count_gpus(cluster, cluster.master, IPCluster(GPU)._lock)
        assert caught.value.remedy == "another"

    def test_engines_start_anew_where_they_have_had_no_gpu_of_their_own(self, tmp_path):
        cluster = lab(tmp_path, {"master": 2})
        versions = {
            engine_service(cluster, cluster.master, range(2), options).version
            for options in (Options(engines_per_node=2), GPU)
        }
        assert len(versions) == 2
