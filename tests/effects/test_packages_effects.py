"""What the `packages` plugin does to a machine that has Python and nothing else: a container."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import sys
import time
import zipfile

import pytest

from clusterctl.api import Facet, RemoteError, Request, Result, Secret
from clusterctl.cluster_nodes import Cluster
from clusterctl.config.cluster_section import ClusterSection
from clusterctl.environment import lock as locks
from clusterctl.events import Reporter
from clusterctl.model import Machines
from clusterctl.planning import build_plan
from clusterctl.plugin.loader import find_plugin_class, options_model
from clusterctl.providers.base import machine_layout
from clusterctl.testing import fake_node

from ..support.complaints import complaints

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
LASTING = frozenset({Facet.MACHINE, Facet.LASTING})
ENV = "/opt/clusterctl/env"
PYTHON = f"{ENV}/bin/python"
ANSWER = "__import__('answer').ANSWER"


class Machine:
    """A container as a `Remote`: root, by `docker exec`. Knows what each script printed and how many there were."""

    def __init__(self, image, folder):
        self.folder = folder
        self.node = fake_node(layout=machine_layout("me"), facets=LASTING, user="root")
        self.said, self.commands, self.notes = [], 0, {}
        self.id = docker("run", "-d", "--init", image, "sleep", "600")
        self.sh("useradd -m me; runuser -u me -- touch /home/me/mine")

    def sh(self, script, *, check=True):
        done = subprocess.run(
            ["docker", "exec", "-i", self.id, "sh", "-s"], input=script, text=True, capture_output=True
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout.strip() if check else done

    def run_script(self, script, *, name="script", on_line=None, timeout_s=None, secret=False, sudo=False, reads=False):
        assert sudo
        self.commands += 1
        done = self.sh(f"clusterctl_script() {{\n{script}\n}}\nclusterctl_script\nexit $?\n", check=False)
        self.said.append(done.stdout)
        if done.returncode:
            raise RemoteError(done.stderr, remedy="", node="master", status=done.returncode, output=done.stderr)
        assert not complaints(done.stderr), name
        return Result(0, done.stdout, done.stderr)

    def close(self):
        pass

    def cluster(self, plugin, *, lock=(), **request):
        wanted = Request(pip=tuple(lock), **request)
        cluster = Cluster(
            "lab",
            machines=Machines("me"),
            nodes=[self.node],
            request=wanted,
            folder=self.folder,
            connector=lambda node: self,
            report=Reporter(lambda event: self.said.append(event.text)),
            notes={},
            remember=self.notes.__setitem__,
            cluster_id=lambda: "0123456789abcdef",
        )
        section = ClusterSection(cluster_user="me")
        plan = build_plan(
            "lab", section, provider="docker", plugins=(), request=wanted, nodes=("master",), machines=Machines("me")
        )
        plugin.clusterctl_prepare(cluster, plan)
        return cluster

    def join(self, *requirements, options=None, hook="clusterctl_join", **request):
        plugin = find_plugin_class("packages")
        plugin = plugin(options_model(plugin)(**options or {}))
        plugin.clusterctl_request()
        cluster = self.cluster(plugin, lock=requirements, **request)
        getattr(plugin, hook)(cluster, self.node)
        return plugin, cluster


def docker(*words):
    done = subprocess.run(["docker", *words], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture
def machine(docker_image, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "id_ed25519.pub").write_text("ssh-ed25519 AAAA lab\n")
    monkeypatch.setattr(sys.modules[find_plugin_class("packages").__module__], "_COMPILE_AFTER_S", 0)
    machine = Machine(docker_image, tmp_path)
    there = machine.sh("python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'")
    monkeypatch.setattr(locks, "python", lambda: there)
    yield machine
    docker("rm", "-f", machine.id)


def until(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def wheel(folder):
    """A package that no index has."""
    path = folder / "answer-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("answer.py", "ANSWER = 42\n")
        archive.writestr("answer-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: answer\nVersion: 1.0\n")
        archive.writestr(
            "answer-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("answer-1.0.dist-info/RECORD", "answer.py,,\n")
    return path


def test_a_bare_machine_gets_uv_and_an_environment_that_anybody_can_use_and_nobody_change(machine):
    machine.join("msgpack==1.1.0")
    version = machine.sh("/opt/clusterctl/bin/uv --version")
    assert version.split()[:2] == ["uv", locks.uv_version()]
    assert machine.sh(f"runuser -u me -- {PYTHON} -c 'import msgpack; print(msgpack.version)'") == "(1, 1, 0)"
    assert machine.sh("find /opt/clusterctl ! -user root -o -perm -o=w ! -type l") == ""
    assert machine.commands == 1
    assert machine.sh(f"cat {ENV}/lock.txt") == "msgpack==1.1.0"


def test_bytecode_is_there_soon_and_nobody_waits_for_it(machine):
    machine.join("msgpack==1.1.0")
    until(lambda: machine.sh(f"find -L {ENV}/lib -name 'ext*.pyc'"))
    until(lambda: machine.sh(f"ls {ENV}/compiled 2>/dev/null || true"))
    assert "compileall" not in machine.sh("ps -eo args")


def test_bytecode_that_a_reboot_came_before_is_made_at_the_next_join(machine):
    machine.join("msgpack==1.1.0")
    until(lambda: machine.sh(f"ls {ENV}/compiled 2>/dev/null || true"))
    machine.sh(f"rm {ENV}/compiled")
    machine.join("msgpack==1.1.0")
    assert machine.said[-1].startswith("unchanged ")
    until(lambda: machine.sh(f"ls {ENV}/compiled 2>/dev/null || true"))


def test_a_second_join_changes_nothing_and_a_new_lock_replaces_the_environment(machine):
    machine.join("msgpack==1.1.0")
    assert "changed: environment" in machine.said[-1]
    until(lambda: machine.sh(f"ls {ENV}/compiled 2>/dev/null || true"))
    before = machine.sh("find /opt /var/cache /home -printf '%p %T@ %C@\\n' | sort")
    machine.join("msgpack==1.1.0")
    assert machine.said[-1].startswith("unchanged ")
    assert machine.sh("find /opt /var/cache /home -printf '%p %T@ %C@\\n' | sort") == before
    machine.join("msgpack==1.0.8")
    assert machine.sh(f"{PYTHON} -c 'import msgpack; print(msgpack.version)'") == "(1, 0, 8)"
    assert len(machine.sh(f"ls -d {ENV}-*").split()) == 1


def test_an_environment_that_was_cut_off_is_built_anew(machine):
    machine.join("msgpack==1.1.0")
    machine.sh(f"rm {ENV}; rm -rf {ENV}-*/lib/python*/site-packages/msgpack")
    machine.join("msgpack==1.1.0")
    assert machine.sh(f"{PYTHON} -c 'import msgpack; print(msgpack.version)'") == "(1, 1, 0)"


def test_files_belong_to_the_user_and_are_written_only_if_they_differ(machine):
    text = "it's 'a' $HOME \\n\n\nCLUSTERCTL_EOF\n"
    machine.join(files={"notes/it's.txt": text, "plain": "x"})
    assert machine.sh("cat /home/me/notes/it\\'s.txt") == text.strip()
    assert machine.sh("cat /home/me/plain; stat -c '%U %a' /home/me/notes /home/me/notes/*") == "x\nme 755\nme 644"
    before = machine.sh("stat -c %i.%Y /home/me/notes/*")
    machine.join(files={"notes/it's.txt": text, "plain": "y"})
    assert machine.sh("stat -c %i.%Y /home/me/notes/*") == before
    assert machine.sh("cat /home/me/plain") == "y"


def test_a_bake_compiles_at_once_writes_no_files_and_makes_the_join_a_look(machine):
    machine.join("msgpack==1.1.0", hook="clusterctl_bake", files={"notes": "x"})
    assert "compileall" not in machine.sh("ps -eo args")
    assert machine.sh(f"find -L {ENV}/lib -name 'ext*.pyc'")
    assert machine.sh("ls /home/me") == "mine"
    machine.join("msgpack==1.1.0")
    assert machine.said[-1].startswith("unchanged ")


def test_leave_takes_everything_away_and_may_come_twice_or_while_it_compiles(machine):
    plugin, cluster = machine.join("ipython==8.30.0", files={"notes": "x"})
    until(lambda: "-m compileall" in machine.sh("ps -eo args | grep '^bin/python' || true"))
    for _ in range(2):
        plugin.clusterctl_undo(cluster, machine.node)
        assert machine.sh("ls -d /opt/clusterctl /var/cache/clusterctl 2>&1 | grep -v 'No such' || true") == ""
    assert "compileall" not in machine.sh("ps -eo args")
    assert machine.sh("ls /home/me").split() == ["mine", "notes"]


def test_leave_keeps_what_others_put_there_and_what_is_anothers(machine):
    plugin, cluster = machine.join("msgpack==1.1.0")
    machine.sh("mkdir -p /var/lib/clusterctl; echo 'theirs SHA256:x' > /var/lib/clusterctl/cluster")
    plugin.clusterctl_undo(cluster, machine.node)
    assert machine.sh(f"{PYTHON} -c 'import msgpack'") == ""
    machine.sh("rm /var/lib/clusterctl/cluster; touch /opt/clusterctl/bin/tool")
    plugin.clusterctl_undo(cluster, machine.node)
    assert machine.sh("find /opt/clusterctl -type f") == "/opt/clusterctl/bin/tool"


SERVER = """
import base64, http.server, os
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        wanted = "Basic " + base64.b64encode(b"me:hunter2").decode()
        if self.headers.get("Authorization") == wanted:
            return super().do_GET()
        self.send_response(401)
        self.send_header("WWW-Authenticate", "Basic")
        self.end_headers()
os.chdir("/srv")
http.server.ThreadingHTTPServer(("127.0.0.1", 8099), Handler).serve_forever()
"""


def test_a_private_index_is_used_with_its_password_which_shows_nowhere(machine, tmp_path, monkeypatch):
    machine.join("msgpack==1.1.0")  # uv is there from now on
    file = wheel(tmp_path)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    machine.sh(
        f"mkdir -p /srv/simple/answer; cd /srv/simple/answer; base64 -d > {file.name} <<'X'\n"
        f"{base64.b64encode(file.read_bytes()).decode()}\nX\n"
        f"echo '<a href=\"{file.name}#sha256={digest}\">{file.name}</a>' > index.html\n"
        f"cat > /srv.py <<'X'\n{SERVER}\nX\nsetsid python3 /srv.py </dev/null >/dev/null 2>&1 &"
    )
    monkeypatch.setattr(locks, "resolve", lambda wanted, index, **_: "answer==1.0\n")  # the laptop does not reach it
    machine.join("answer", options={"index_url": Secret("http://me:hunter2@127.0.0.1:8099/simple")})
    assert machine.sh(f'{PYTHON} -c "print({ANSWER})"') == "42"
    monkeypatch.setattr(locks, "resolve", lambda wanted, index, **_: "answer==2.0\n")
    with pytest.raises(RemoteError, match="answer") as caught:
        machine.join("answer>1", options={"index_url": Secret("http://me:hunter3@127.0.0.1:8099/simple")})
    assert "hunter" not in "".join([*machine.said, caught.value.message])
    assert "hunter" not in machine.sh("grep -rsl hunter2 /opt /var /etc /home || true")


def test_a_wheelhouse_on_the_machine_needs_no_index(machine, tmp_path, monkeypatch):
    machine.join("msgpack==1.1.0")
    file = wheel(tmp_path)
    machine.sh(
        f"mkdir /wheels; base64 -d > /wheels/{file.name} <<'X'\n{base64.b64encode(file.read_bytes()).decode()}\nX"
    )
    monkeypatch.setattr(locks, "resolve", lambda wanted, index, **_: "answer==1.0\n")
    machine.sh("mkdir -p /etc/clusterctl; echo HTTPS_PROXY=http://127.0.0.1:9 > /etc/clusterctl/environment")
    machine.join("answer", options={"find_links": "/wheels", "no_index": True})
    assert machine.sh(f'{PYTHON} -c "print({ANSWER})"') == "42"


def test_without_the_index_the_error_says_what_is_out_of_reach(machine):
    machine.sh("mkdir -p /etc/clusterctl; echo HTTPS_PROXY=http://127.0.0.1:9 > /etc/clusterctl/environment")
    with pytest.raises(RemoteError, match=f"Failed to fetch uv {locks.uv_version()}") as caught:
        machine.join("msgpack==1.1.0")
    assert "https://pypi.org/simple/uv/" in caught.value.message
    assert machine.sh("ls -A /opt/clusterctl/bin; ls -d /opt/clusterctl/env* 2>/dev/null || true") == ""


def test_a_python_that_neither_the_machine_nor_uv_has_is_an_error_with_a_remedy(machine, monkeypatch):
    machine.join()
    before = machine.sh(f"readlink {ENV}")
    other = "3.12" if locks.python() != "3.12" else "3.13"
    monkeypatch.setattr(locks, "python", lambda: other)
    mirror = "UV_PYTHON_INSTALL_MIRROR=http://127.0.0.1:9\nUV_HTTP_RETRIES=0\n"
    machine.sh(f"mkdir -p /etc/clusterctl; cat > /etc/clusterctl/environment <<'X'\n{mirror}X")
    with pytest.raises(RemoteError, match=f"there is no Python {other}, and uv cannot download one") as caught:
        machine.join()
    assert f"install {other} there" in caught.value.remedy
    assert machine.sh(f"readlink {ENV}; {PYTHON} -c ''") == before
