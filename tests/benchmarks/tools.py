"""The tools that machines.py compares, each as it brings up the same cluster; called twice on the same machines."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from common import clusterctl
from lab import TALK, USER, Machines

if TYPE_CHECKING:
    from clusterctl.model import Node

HERE = Path(__file__).parent / "machines"
PACKAGES = (*TALK, f"ipyparallel=={version('ipyparallel')}", "jupyterlab", "supervisor")
TOOLS = ("ansible", "pyinfra", "dask[distributed]", "asyncssh")


def ours(lab: Machines) -> None:
    """`clusterctl start`."""
    clusterctl(lab.env, "start", "bench")
    state = "/var/lib/clusterctl/ipython/profile_cluster/security"
    port = f'"$(sed -E \'s/.*"port": ([0-9]+).*/\\1/\' {state}/notebook.json)"'
    lab.prove("/opt/clusterctl/env/bin/python", f"{state}/ipcontroller-client.json", port)


def _prove_theirs(lab: Machines) -> None:
    lab.prove("/opt/venv/bin/python", f"/home/{USER}/profile/security/ipcontroller-client.json", "8888")


def ansible(lab: Machines, tools: Path, kind: str) -> None:
    """The playbook, plain or tuned."""
    folder = lab.folder / f"ansible-{kind}"
    shutil.copytree(HERE, folder, dirs_exist_ok=True)
    hosts = {
        node.alias: {
            "ansible_host": node.address,
            "ansible_port": node.port,
            "ansible_user": "root",
            "private_address": node.private_address,
            "host_key": node.host_key,
            "ansible_ssh_private_key_file": str(lab.key),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={lab.known_hosts}",
        }
        for node in lab.nodes
    }
    workers = {"hosts": {name: {} for name in list(hosts)[1:]}}
    inventory = {"all": {"hosts": hosts, "children": {"workers": workers}}}
    (folder / "inventory.json").write_text(json.dumps(inventory))
    facts = json.dumps({"cluster_user": USER, "packages": PACKAGES})
    env = {
        **lab.env,
        "ANSIBLE_CONFIG": str(folder / f"ansible_{kind}.cfg"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(lab.folder / "cp"),
        "LC_ALL": "C.UTF-8",
    }
    command = [str(tools / "bin" / "ansible-playbook"), "-i", "inventory.json", "-e", facts, "playbook.yml"]
    run_tool(command, folder, env)
    _prove_theirs(lab)


def pyinfra(lab: Machines, tools: Path) -> None:
    """The deploy."""
    folder = lab.folder / "pyinfra"
    shutil.copytree(HERE, folder, dirs_exist_ok=True)
    nodes = {node.alias: {"private_address": node.private_address} for node in lab.nodes}
    (folder / "facts.json").write_text(json.dumps({"user": USER, "nodes": nodes, "packages": PACKAGES}))
    shutil.copy(lab.known_hosts, folder / "known_hosts")
    (folder / "ipcontroller_config.py").write_text(_controller(lab.nodes[0]))
    hosts = [
        (
            node.alias,
            {
                "ssh_hostname": node.address,
                "ssh_port": node.port,
                "ssh_user": "root",
                "ssh_key": str(lab.key),
                "ssh_known_hosts_file": str(lab.known_hosts),
            },
        )
        for node in lab.nodes
    ]
    (folder / "inventory.py").write_text(f"nodes = {hosts!r}\n")
    run_tool([str(tools / "bin" / "pyinfra"), "-y", "inventory.py", "deploy.py"], folder, lab.env)
    _prove_theirs(lab)


def ssh_and_pip(lab: Machines) -> None:
    """One script a node over ssh, all at once, with pip: ours by hand and without uv."""
    hosts = "".join(f"{node.private_address} {node.alias}\n" for node in lab.nodes)
    inside = "".join(f"{node.alias},{node.private_address} {node.host_key}\n" for node in lab.nodes)

    def set_up(node: Node) -> None:
        supervisord = (HERE / "supervisord.conf").read_text()
        supervisord = _fill(supervisord, inventory_hostname=node.alias, cluster_user=USER)
        lab.ssh(
            node,
            f"grep -q node001 /etc/hosts || cat >> /etc/hosts <<'END'\n{hosts}END\n"
            f"id {USER} >/dev/null 2>&1 || useradd -m -u 20000 -s /bin/bash {USER} 2>/dev/null\n"
            f"cat > /etc/ssh/ssh_known_hosts <<'END'\n{inside}END\n"
            f"mkdir -p /srv/cluster /home/{USER}/profile /home/{USER}/notebooks /home/{USER}/.ssh\n"
            f"[ {node.alias} != master ] || [ -e /home/{USER}/.ssh/id_ed25519 ] || {{\n"
            f"ssh-keygen -q -t ed25519 -N '' -f /home/{USER}/.ssh/id_ed25519\n"
            f"cp /home/{USER}/.ssh/id_ed25519.pub /home/{USER}/.ssh/authorized_keys; }}\n"
            f"cat > /home/{USER}/profile/ipcontroller_config.py <<'END'\n{_controller(lab.nodes[0])}END\n"
            f"chown -R {USER} /home/{USER} /srv/cluster; chmod 700 /home/{USER}/.ssh\n"
            f"[ -x /opt/venv/bin/pip ] || python3 -m venv /opt/venv\n"
            f"/opt/venv/bin/pip install --quiet {shlex.join(PACKAGES)}\n"
            f"cat > /srv/cluster/supervisord.conf <<'END'\n{supervisord}\nEND\n"
            "[ -e /srv/cluster/supervisord.pid ]"
            " || /opt/venv/bin/supervisord -c /srv/cluster/supervisord.conf </dev/null >/dev/null 2>&1\n",
        )

    with ThreadPoolExecutor(len(lab.nodes)) as pool:
        list(pool.map(set_up, lab.nodes))
    _prove_theirs(lab)


def _fill(template: str, **values: str) -> str:
    from clusterctl.node.render import render_text

    return render_text(template, **values)


def _controller(master: Node) -> str:
    return (
        "c = get_config()\n"
        f'c.IPController.ip = "{master.private_address}"\n'
        "c.HeartMonitor.period = 500\n"
        "c.HeartMonitor.max_heartmonitor_misses = 40\n"
    )


def run_tool(command: list[str], folder: Path, env: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)} failed:\n{done.stdout[-4000:]}{done.stderr[-2000:]}")
    return done.stdout


def ensure_tools(folder: Path) -> Path:
    """The other tools in an environment of their own."""
    if not (folder / "bin" / "pyinfra").exists():
        import uv

        program = uv.find_uv_bin()
        subprocess.run([program, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
        python = str(folder / "bin" / "python")
        subprocess.run([program, "pip", "install", "--quiet", "--python", python, *TOOLS], check=True)
    return folder
