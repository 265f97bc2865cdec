"""The cluster of tests/benchmarks/machines.py as a user of pyinfra writes it."""

import json
from pathlib import Path

from pyinfra import host
from pyinfra.operations import apt, files, pip, server

facts = json.loads((Path(__file__).parent / "facts.json").read_text())
user, nodes = facts["user"], facts["nodes"]
home = f"/home/{user}"
me = host.name.removeprefix("@ssh/") if host.name.startswith("@") else host.name

for alias, node in nodes.items():
    server.shell(
        name=f"{alias} in /etc/hosts",  # a container's /etc/hosts cannot be replaced, as files.line would
        commands=[f"grep -q ' {alias}$' /etc/hosts || echo '{node['private_address']} {alias}' >> /etc/hosts"],
    )
apt.packages(name="Tools for virtual environments", packages=["python3-venv", "python3-pip", "openssh-client"])
server.user(name="The user", user=user, uid=20000, shell="/bin/bash", home=home, create_home=True)
make_key = (
    f"[ -e {home}/.ssh/id_ed25519 ] || runuser -u {user} -- sh -c '"
    f'mkdir -p -m 700 {home}/.ssh && ssh-keygen -q -t ed25519 -N "" -f {home}/.ssh/id_ed25519'
    f" && cat {home}/.ssh/id_ed25519.pub >> {home}/.ssh/authorized_keys'"
)
server.shell(
    name="The user's key",
    commands=[make_key],
    _if=lambda: me == "master",
)
files.put(
    name="Host keys",
    src=str(Path(__file__).parent / "known_hosts"),
    dest="/etc/ssh/ssh_known_hosts",
    mode="644",
)
pip.venv(name="Virtual environment", path="/opt/venv", python="/usr/bin/python3")
pip.packages(name="Packages", packages=facts["packages"], virtualenv="/opt/venv")
for folder in ("/srv/cluster", f"{home}/profile", f"{home}/notebooks"):
    files.directory(name=folder, path=folder, user=user, mode="700")
files.template(
    name="What supervisord runs",
    src=str(Path(__file__).parent / "supervisord.conf"),
    dest="/srv/cluster/supervisord.conf",
    mode="600",
    inventory_hostname=me,
    cluster_user=user,
)
if me == "master":
    settings = Path(__file__).parent / "ipcontroller_config.py"
    files.put(
        name="Settings of the controller", src=str(settings), dest=f"{home}/profile/ipcontroller_config.py", user=user
    )
server.shell(
    name="Controller, engine and notebook",
    commands=["[ -e /srv/cluster/supervisord.pid ] || /opt/venv/bin/supervisord -c /srv/cluster/supervisord.conf"],
)
