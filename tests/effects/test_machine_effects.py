"""What the plugins for machines do to real systems: containers, worked on through the plugins' own hooks.

CLUSTERCTL_TEST_IMAGE names the image to make them of (Debian, with openssh-server and sudo), else it is the one that
all tests of containers share.
"""

from __future__ import annotations

import os
import subprocess
import uuid
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from clusterctl.api import Facet, Machines, RemoteError, Request, Result, Volume
from clusterctl.cluster import Cluster
from clusterctl.events import Event
from clusterctl.model import MASTER
from clusterctl.plugin.loader import find_plugin_class, options_model
from clusterctl.providers.base import machine_layout
from clusterctl.testing import fake_node

from ..support import fake_dnf
from ..support.complaints import complaints

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
MACHINE = frozenset({Facet.MACHINE})
LASTING = frozenset({Facet.MACHINE, Facet.LASTING})
KEPT = ("/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/subuid", "/etc/hosts", "/etc/fstab")


START_SSHD = """rm -f /etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
mkdir -p /run/sshd; /usr/sbin/sshd; cat /etc/ssh/ssh_host_ed25519_key.pub"""
"""One key: to make another kind of them takes a second."""
UPDATE_CA_TRUST = """#!/bin/sh
echo "$1" >> /fake/trusted
touch /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem
"""


def docker(*words, check=True, stdin=None):
    return subprocess.run(["docker", *words], input=stdin, text=True, capture_output=True, check=check)


@pytest.fixture(scope="module")
def image(request):
    if subprocess.run(["sh", "-c", "docker version"], capture_output=True).returncode != 0:
        pytest.skip("docker: no engine answers, or there is no docker command")
    return os.environ.get("CLUSTERCTL_TEST_IMAGE") or request.getfixturevalue("docker_image")


@pytest.fixture(scope="module")
def image_with_lists(request):
    """For tests that want packages and do not care where the lists come from."""
    return os.environ.get("CLUSTERCTL_TEST_IMAGE") or request.getfixturevalue("docker_image_with_lists")


class ExecRemote:
    """A container, spoken to by `docker exec` as root."""

    def __init__(self, node):
        self.node = node
        self.commands = 0

    def run_script(self, script, *, name="script", on_line=None, timeout_s=None, secret=False, sudo=False):
        assert sudo, f"{name} changes a machine and does not ask to be root"
        whole = f"clusterctl_script() {{\n{script}\n}}\nclusterctl_script\nexit $?\n"
        return self._exec(["sh", "-s"], whole, name)

    def run(self, command, *, stdin="", check=True, on_line=None, timeout_s=None, secret=False, sudo=False):
        return self._exec(["sh", "-c", command], stdin, command, check=check)

    def _exec(self, words, stdin, name, *, check=True):
        self.commands += 1
        done = docker("exec", "-i", self.node.id, *words, check=False, stdin=stdin)
        if check and done.returncode != 0:
            raise RemoteError(
                f"{self.node.alias}: {name} ended with status {done.returncode}:\n{done.stderr}",
                remedy="",
                node=self.node.alias,
                status=done.returncode,
                output=done.stderr,
            )
        assert not complaints(done.stderr), name
        return Result(done.returncode, done.stdout, done.stderr)

    def close(self):
        pass


class Lab:
    """Containers, and a cluster of them."""

    def __init__(self, folder, image):
        self.folder, self.image = folder, image
        self.name = f"lab{uuid.uuid4().hex[:6]}"
        self.notes, self.said, self.nodes = {}, [], {}
        folder.mkdir(exist_ok=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "lab", "-f", folder / "id_ed25519"])

    def boot(self, alias, *, facets=MACHINE, options=()):
        identity = docker(
            *("run", "-d", "--init", "--hostname", alias, "--label", f"clusterctl-test={self.name}", *options),
            *(self.image, "sleep", "infinity"),
        ).stdout.strip()
        key = docker("exec", identity, "sh", "-ec", START_SSHD).stdout.split()[:2]
        address = docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", identity).stdout.strip()
        self.nodes[alias] = fake_node(
            alias,
            cluster=self.name,
            id=identity,
            address=address,
            private_address=address,
            user="root",
            host_key=" ".join(key),
            layout=machine_layout("me"),
            facets=facets,
        )
        return self.nodes[alias]

    def cluster(self, *, apt=(), **machines):
        return Cluster(
            self.name,
            machines=Machines(**{"user": "me", **machines}),
            nodes=self.nodes.values(),
            request=Request(apt=tuple(apt)),
            folder=self.folder,
            connector=ExecRemote,
            report=lambda event: self.said.append(event.text if isinstance(event, Event) else event),
            notes=self.notes,
            remember=self.notes.__setitem__,
        )

    def sh(self, alias, command, user="", check=True):
        done = docker(
            *("exec", *(("-u", user) if user else ()), self.nodes[alias].id, "sh", "-c", command), check=False
        )
        if check:
            assert done.returncode == 0, f"{alias}: {command}: {done.stdout}{done.stderr}"
        return done.stdout.strip() if check else done

    def close(self):
        found = docker("ps", "-aq", "--filter", f"label=clusterctl-test={self.name}").stdout.split()
        if found:
            docker("rm", "-f", "-v", *found)
        docker("volume", "rm", "-f", f"{self.name}-home")


@pytest.fixture
def lab(image, tmp_path):
    made = Lab(tmp_path / "laptop", image)
    yield made
    made.close()


def plugin(name, **options):
    found = find_plugin_class(name)
    return found(options_model(found)(**options))


def join(plugin, cluster, *aliases):
    """What a join changed, by node: the master first, the workers side by side."""
    changed = {}

    def act(node):
        remote = cluster.on(node)
        real = remote.run_script

        def listen(script, **about):
            said = real(script, **about)
            changed.setdefault(node.alias, []).extend(
                line for line in said.stdout.splitlines() if line.startswith("changed: ")
            )
            return said

        remote.run_script = listen
        try:
            plugin.clusterctl_join(cluster, node)
        finally:
            remote.run_script = real

    act(cluster.master)
    cluster.each(act, cluster.workers)
    return changed


def two(lab, **about):
    """A master and a worker, which share /home by a volume as the docker provider's do."""
    boot_all(lab, MASTER, "node001", **about)


def three(lab, **about):
    """A master and two workers: for what workers have to do with each other."""
    boot_all(lab, MASTER, "node001", "node002", **about)


def boot_all(lab, *aliases, **about):
    home = f"{lab.name}-home"
    for alias in aliases:
        lab.boot(alias, options=("-v", f"{home}:/home"), **about)


def ssh(lab, alias, user, target, command="hostname", check=True):
    """What a command says over ssh from one node to another, which may ask nothing."""
    return lab.sh(alias, f"ssh -o BatchMode=yes {target} {command} </dev/null", user=user, check=check)


def kept(lab, alias):
    """The system's files that others write too, byte for byte."""
    return {path: lab.sh(alias, f"sha256sum {path} 2>/dev/null || echo none") for path in KEPT}


class TestBase:
    def test_one_user_with_one_number_whom_every_member_lets_in_without_a_question(self, lab):
        three(lab)
        cluster = lab.cluster()
        join(plugin("base"), cluster)
        assert {lab.sh(alias, "id -u me; id -g me") for alias in lab.nodes} == {"10000\n10000"}
        for here in lab.nodes:
            assert [ssh(lab, here, "me", there) for there in lab.nodes] == list(lab.nodes)
        assert lab.sh("node002", "getent hosts master").split() == [lab.nodes[MASTER].private_address, "master"]
        assert lab.sh("master", "sudo -n true", user="me", check=False).returncode != 0
        assert ssh(lab, "node001", "", "node002", check=False).returncode != 0, "root was let in"
        assert lab.sh("node001", "stat -c '%U %a' /scratch/me") == "me 700"
        assert lab.sh("node001", "touch ~/seen && stat -c %U ~/seen", user="me") == "me"
        assert lab.sh("node002", "stat -c %U /home/me/seen") == "me"

    def test_a_second_run_changes_nothing(self, lab, tmp_path):
        three(lab)
        (tmp_path / "ca.pem").write_text(certificate())
        options = {
            "sudo": True,
            "root_ssh": True,
            "http_proxy": "http://127.0.0.1:9",
            "ca_certificates": str(tmp_path / "ca.pem"),
        }
        first = join(plugin("base", **options), lab.cluster(dns_prefix=True))
        assert all(first.values())
        assert join(plugin("base", **options), lab.cluster(dns_prefix=True)) == {alias: [] for alias in lab.nodes}

    def test_what_is_asked_for_no_more_is_taken_away(self, lab):
        two(lab)
        join(plugin("base", sudo=True, root_ssh=True, http_proxy="http://127.0.0.1:9"), lab.cluster())
        assert lab.sh("node001", "sudo -n id -u", user="me") == "0"
        assert lab.sh("node001", "stat -c %a /etc/sudoers.d/clusterctl") == "440"
        for there in lab.nodes:
            assert ssh(lab, "node001", "root", there) == there
        assert lab.sh("node001", "stat -c '%a %G' /etc/clusterctl/environment") == "640 me"
        join(plugin("base"), lab.cluster())
        assert lab.sh("node001", "sudo -n id -u", user="me", check=False).returncode != 0
        assert ssh(lab, "node001", "root", "master", check=False).returncode != 0
        assert lab.sh("node001", "ls /etc/clusterctl /root/.ssh /etc/ssh/ssh_config.d /etc/sudoers.d") == (
            "/etc/clusterctl:\n\n/etc/ssh/ssh_config.d:\n\n/etc/sudoers.d:\nREADME\n\n/root/.ssh:"
        )

    def test_what_downloads_sees_the_proxy_and_the_certificates_but_not_for_members(self, lab, tmp_path):
        (tmp_path / "ca.pem").write_text("words\n" + certificate() + certificate())
        lab.boot(MASTER)
        changed = plugin(
            "base",
            ca_certificates=str(tmp_path / "ca.pem"),
            http_proxy="http://me:it's@127.0.0.1:9".replace("'", "%27"),
        )
        join(changed, lab.cluster())
        said = lab.sh(MASTER, "set -a; . /etc/clusterctl/environment; env")
        values = dict(line.split("=", 1) for line in said.splitlines())
        assert values["https_proxy"] == values["HTTP_PROXY"] == "http://me:it%27s@127.0.0.1:9"
        assert lab.nodes[MASTER].private_address in values["no_proxy"].split(",")
        assert (values["UV_SYSTEM_CERTS"], values["SSL_CERT_FILE"]) == ("true", "/etc/ssl/certs/ca-certificates.crt")
        before = int(lab.sh(MASTER, "ls /usr/local/share/ca-certificates/clusterctl-*.crt | wc -l"))
        assert before == 2
        assert lab.sh(MASTER, "ls /etc/ssl/certs/clusterctl-*.pem | wc -l") == "2"
        join(plugin("base"), lab.cluster())
        assert lab.sh(MASTER, "ls /usr/local/share/ca-certificates /etc/ssl/certs | grep -c clusterctl || true") == "0"

    def test_new_and_lost_members_are_told_to_those_who_do_not_know(self, lab):
        for alias in (MASTER, "node1", "node10"):
            lab.boot(alias)
        lab.sh("node1", "echo '192.0.2.1 node1.example.org node1x' >> /etc/hosts")
        base, cluster = plugin("base"), lab.cluster()
        join(base, cluster)
        base.clusterctl_members(cluster)
        assert cluster.count_commands() == dict.fromkeys(lab.nodes, 1), "nobody had to be told"
        gone = lab.nodes.pop("node1")
        again = lab.cluster()
        plugin("base").clusterctl_members(again)
        assert again.count_commands() == {MASTER: 1, "node10": 1}
        assert gone.private_address not in lab.sh(MASTER, "cat /etc/hosts /etc/ssh/ssh_known_hosts")
        assert lab.sh(MASTER, "getent hosts node10").split()[0] == lab.nodes["node10"].private_address
        third = lab.cluster()
        plugin("base").clusterctl_members(third)
        assert third.count_commands() == {}
        lab.boot("node2")
        fourth = lab.cluster()
        newer = plugin("base")
        newer.clusterctl_join(fourth, lab.nodes["node2"])
        newer.clusterctl_members(fourth)
        assert fourth.count_commands() == {"node2": 1, MASTER: 1, "node10": 1}
        assert lab.sh(MASTER, "getent hosts node2").split()[0] == lab.nodes["node2"].private_address
        assert "node1.example.org" not in lab.sh("node10", "cat /etc/hosts")

    @pytest.mark.parametrize("shell", ["csh", "fish"])
    def test_the_users_shell_may_be_one_that_is_no_posix_shell(self, lab, image_with_lists, shell):
        lab.image = image_with_lists
        two(lab)
        changed = join(plugin("base"), lab.cluster(shell=shell))
        assert f"changed: package {shell}" in changed["node001"]
        assert lab.sh("node001", "getent passwd me | cut -d: -f7") == f"/bin/{shell}"
        assert ssh(lab, "node001", "me", "master", "'echo $shell$SHELL; hostname'").splitlines()[-1] == "master"
        assert join(plugin("base"), lab.cluster(shell=shell)) == {alias: [] for alias in lab.nodes}
        changed = join(plugin("base"), lab.cluster())
        assert changed["node001"] == ["changed: shell of me"]

    def test_a_new_number_may_not_be_somebody_elses_on_a_worker(self, lab):
        three(lab)
        lab.sh("node002", "useradd -u 10000 alice")
        cluster = lab.cluster()
        with pytest.raises(RemoteError) as caught:
            join(plugin("base"), cluster)
        assert caught.value.message == "node002: the number 10000 belongs to the user alice here, so me cannot have it"
        assert "UID in [plugin base]" in caught.value.remedy
        assert lab.sh("node002", "id -nu 10000") == "alice"
        assert lab.sh("node001", "id -u me") == "10000", "the others go on"

    def test_nor_may_the_user_have_another_number_there(self, lab):
        two(lab)
        lab.sh("node001", "useradd -u 4711 me")
        with pytest.raises(
            RemoteError, match="node001: the user me is there already with number, group and home 4711:"
        ):
            join(plugin("base"), lab.cluster())
        assert lab.sh("node001", "id -u me") == "4711"

    @pytest.mark.parametrize(
        ("before", "options", "uid"),
        [
            ("useradd -m -u 4711 me", {}, "4711"),
            ("mkdir /home/me && touch /home/me/work && chown -R 4711:4711 /home/me", {}, "4711"),
            ("true", {"uid": 5005}, "5005"),
            ("useradd -u 10000 alice", {}, "10001"),
        ],
    )
    def test_the_master_chooses_the_number(self, lab, before, options, uid):
        lab.boot(MASTER)
        lab.sh(MASTER, before)
        join(plugin("base", **options), lab.cluster())
        assert lab.sh(MASTER, "id -u me; stat -c %u /home/me") == f"{uid}\n{uid}"
        assert lab.notes["base user"]["uid"] == int(uid)

    @pytest.mark.parametrize(
        ("before", "options", "message"),
        [
            ("useradd -m -u 4711 me", {"uid": 5005}, "the user me has number 4711 already, and UID is 5005"),
            ("useradd -u 4711 me; mkdir -p /home/me; chown 4712 /home/me", {}, "/home/me belongs to number 4712"),
            ("useradd -u 4711 bob; mkdir -p /home/me; chown 4711 /home/me", {}, "/home/me belongs to the user bob"),
            ("mkdir -p /home/me/work", {}, "/home/me is there and belongs to root"),
            ("useradd -u 5005 bob", {"uid": 5005}, "the number 5005 belongs to the user bob"),
            ("useradd -d /data/me -u 4711 me", {}, "number, group and home 4711:4711:/data/me"),
        ],
    )
    def test_and_refuses_what_does_not_go_together(self, lab, before, options, message):
        lab.boot(MASTER)
        lab.sh(MASTER, before)
        accounts = kept(lab, MASTER)
        with pytest.raises(RemoteError, match=message):
            join(plugin("base", **options), lab.cluster())
        assert kept(lab, MASTER) == accounts

    def test_a_lost_laptop_learns_the_number_from_the_master(self, lab):
        two(lab)
        join(plugin("base", uid=5005), lab.cluster())
        lab.notes.clear()
        fresh = lab.boot("node003")
        plugin("base").clusterctl_join(lab.cluster(), fresh)
        assert lab.sh("node003", "id -u me") == "5005"

    def test_host_names_with_the_clusters_name(self, lab):
        two(lab)
        join(plugin("base"), lab.cluster(dns_prefix=True))
        assert any(f"cannot be set to {lab.name}-node001 here" in said for said in lab.said)
        assert ssh(lab, "node001", "me", f"{lab.name}-master") == ssh(lab, "node001", "me", "master") == "master"

    def test_it_leaves_a_host_that_lasts_as_it_was(self, lab):
        for alias in (MASTER, "node001"):
            lab.boot(alias, facets=LASTING)
            lab.sh(
                alias, "printf '192.0.2.9 printer' >> /etc/hosts; printf 'gate ssh-rsa AAAA' > /etc/ssh/ssh_known_hosts"
            )
        kept_too = ("/etc/ssh/ssh_known_hosts",)
        before = {
            alias: (kept(lab, alias), lab.sh(alias, f"cat {kept_too[0]}"), tree(lab, alias)) for alias in lab.nodes
        }
        base, cluster = plugin("base", sudo=True, root_ssh=True, keep_home=False), lab.cluster()
        join(base, cluster)
        assert "192.0.2.9 printer" in lab.sh("node001", "cat /etc/hosts")
        lab.sh("node001", "sleep 1000 >/dev/null 2>&1 &", user="me")
        for node in (*cluster.workers, cluster.master):
            base.clusterctl_leave(cluster, node)
        after = {
            alias: (kept(lab, alias), lab.sh(alias, f"cat {kept_too[0]}"), tree(lab, alias)) for alias in lab.nodes
        }
        assert after == before
        assert lab.sh("node001", "pgrep -x sleep -a | grep -c 1000 || true") == "0"
        commands = dict(cluster.count_commands())
        base.clusterctl_leave(cluster, replace(cluster.master, reachable=False))
        assert cluster.count_commands() == commands

    def test_a_home_with_work_in_it_is_kept_and_taken_up_again(self, lab):
        lab.boot(MASTER, facets=LASTING)
        base, cluster = plugin("base", uid=5005), lab.cluster()
        join(base, cluster)
        lab.sh(MASTER, "touch ~/work", user="me")
        base.clusterctl_leave(cluster, cluster.master)
        assert lab.sh(MASTER, "stat -c %u /home/me/work; ls -A /home/me/.ssh 2>/dev/null || true") == "5005"
        assert lab.sh(MASTER, "id me", check=False).returncode != 0
        join(plugin("base"), lab.cluster())
        assert lab.sh(MASTER, "id -u me") == "5005"

    def test_a_user_and_a_host_name_that_were_there_before_stay(self, lab):
        lab.boot(MASTER, facets=LASTING)
        lab.sh(
            MASTER,
            "useradd -m -s /bin/sh me; echo old-name > /etc/hostname; mkdir -p -m 700 ~me/.ssh"
            "; echo 'ssh-rsa A his' > ~me/.ssh/authorized_keys; chown -R me: ~me",
        )
        before, keys = kept(lab, MASTER), lab.sh(MASTER, "cat /home/me/.ssh/authorized_keys")
        base, cluster = plugin("base"), lab.cluster()
        join(base, cluster)
        assert lab.sh(MASTER, "cat /etc/hostname; hostname") == "old-name\nmaster"
        assert keys in lab.sh(MASTER, "cat /home/me/.ssh/authorized_keys")
        base.clusterctl_leave(cluster, cluster.master)
        assert kept(lab, MASTER) == before
        assert lab.sh(MASTER, "cat /home/me/.ssh/authorized_keys; ls /home/me/.ssh") == f"{keys}\nauthorized_keys"

    def test_no_cluster_takes_anothers_host_nor_undoes_what_is_not_its_own(self, lab):
        lab.boot(MASTER, facets=LASTING)
        lab.sh(MASTER, "mkdir -p /var/lib/clusterctl/base && echo 'other SHA256:x' > /var/lib/clusterctl/cluster")
        before = tree(lab, MASTER)
        base, cluster = plugin("base"), lab.cluster()
        with pytest.raises(RemoteError, match="this machine belongs to another cluster: other SHA256:x") as caught:
            join(base, cluster)
        assert "/var/lib/clusterctl/cluster" in caught.value.remedy
        base.clusterctl_leave(cluster, cluster.master)
        assert tree(lab, MASTER) == before

    def test_a_file_with_half_of_our_lines_is_not_touched(self, lab):
        lab.boot(MASTER)
        lab.sh(
            MASTER, f"echo '# clusterctl {lab.name} members begin' >> /etc/hosts; echo '192.0.2.1 mine' >> /etc/hosts"
        )
        with pytest.raises(RemoteError, match="/etc/hosts has lines of clusterctl without their begin or end"):
            join(plugin("base"), lab.cluster())
        assert "192.0.2.1 mine" in lab.sh(MASTER, "cat /etc/hosts")


class TestPackages:
    def test_what_is_missing_is_installed_once_from_the_archive_that_is_named(self, lab):
        lab.boot(MASTER)
        mirror = {"apt_mirror": "http://deb.debian.org/debian"}
        cluster = lab.cluster(apt=("tree", "bash", "sudo"))
        assert "changed: package tree" in join(plugin("base", **mirror), cluster)[MASTER]
        assert lab.sh(MASTER, "tree --version").startswith("tree")
        sources = lab.sh(MASTER, "cat /etc/apt/sources.list.d/clusterctl.sources")
        assert "URIs: http://deb.debian.org/debian\n" in sources
        assert "URIs: http://deb.debian.org/debian-security\n" in sources
        assert lab.sh(MASTER, "cat /var/lib/clusterctl/base/packages") == "tree"
        assert join(plugin("base", **mirror), cluster) == {MASTER: []}
        assert join(plugin("base"), cluster) == {
            MASTER: ["changed: /etc/apt/sources.list.d/clusterctl.sources is gone"]
        }

    def test_one_that_does_not_exist_is_named(self, lab, image_with_lists):
        lab.image = image_with_lists
        lab.boot(MASTER)
        with pytest.raises(RemoteError, match="no such system package here: no-such-package") as caught:
            join(plugin("base"), lab.cluster(apt=("bash", "no-such-package")))
        assert caught.value.status == 65

    def test_an_archive_out_of_reach_is_said_to_be(self, lab):
        lab.boot(MASTER, options=("--network", "none"))
        lab.nodes[MASTER] = replace(lab.nodes[MASTER], private_address="10.0.0.1")
        with pytest.raises(RemoteError, match="archive of system packages is out of reach") as caught:
            join(plugin("base"), lab.cluster(apt=("tree",)))
        assert "APT_MIRROR" in caught.value.remedy

    def test_where_there_is_no_apt_the_missing_are_named(self, lab):
        lab.boot(MASTER)
        lab.sh(MASTER, "mv /usr/bin/apt-get /usr/bin/dpkg-query /tmp")
        with pytest.raises(RemoteError, match="there is neither apt-get nor dnf to install them with: tree") as caught:
            join(plugin("base"), lab.cluster(apt=("tree",)))
        assert "install them there" in caught.value.remedy

    def test_where_there_is_dnf_it_installs_and_certificates_go_where_such_systems_have_them(self, lab, tmp_path):
        (tmp_path / "ca.pem").write_text(certificate())
        lab.boot(MASTER)
        lab.sh(MASTER, "mv /usr/bin/apt-get /usr/bin/dpkg-query /usr/sbin/update-ca-certificates /tmp")
        for name, text in (("dnf", fake_dnf.DNF), ("rpm", fake_dnf.RPM), ("update-ca-trust", UPDATE_CA_TRUST)):
            path = f"/usr/local/bin/{name}"
            docker("exec", "-i", lab.nodes[MASTER].id, "sh", "-c", f"cat > {path}; chmod 755 {path}", stdin=text)
        lab.sh(
            MASTER,
            "mkdir -p /fake /etc/pki/ca-trust/source/anchors /etc/pki/ca-trust/extracted/pem /etc/pki/tls/certs"
            "; rm -f /etc/ssl/certs/ca-certificates.crt; touch /etc/pki/tls/certs/ca-bundle.crt"
            "; echo tree > /fake/known; printf '%s 0 1.0 1\\n' ca-certificates > /fake/installed",
        )
        options, cluster = {"ca_certificates": str(tmp_path / "ca.pem")}, lab.cluster(apt=("tree",))
        assert "changed: package tree" in join(plugin("base", **options), cluster)[MASTER]
        assert lab.sh(MASTER, "cat /fake/trusted; ls /etc/pki/ca-trust/source/anchors | wc -l") == "extract\n1"
        assert "=/etc/pki/tls/certs/ca-bundle.crt" in lab.sh(MASTER, "grep SSL_CERT_FILE /etc/clusterctl/environment")
        assert join(plugin("base", **options), cluster) == {MASTER: []}
        assert lab.sh(MASTER, "cat /fake/trusted") == "extract", "once"
        join(plugin("base"), cluster)
        assert lab.sh(MASTER, "cat /fake/trusted; ls /etc/pki/ca-trust/source/anchors") == "extract\nextract"

    def test_an_archive_for_apt_is_refused_where_there_is_none(self, lab):
        lab.boot(MASTER)
        lab.sh(MASTER, "mv /usr/bin/apt-get /tmp")
        with pytest.raises(RemoteError, match="APT_MIRROR is for apt-get") as caught:
            join(plugin("base", apt_mirror="http://deb.debian.org/debian"), lab.cluster())
        assert "leave APT_MIRROR out" in caught.value.remedy

    def test_an_image_gets_packages_and_no_user(self, lab):
        lab.boot(MASTER)
        cluster = lab.cluster(apt=("tree",))
        plugin("base", http_proxy="http://deb.debian.org:80").clusterctl_bake(cluster, cluster.master)
        assert lab.sh(MASTER, "command -v tree") == "/usr/bin/tree"
        assert lab.sh(MASTER, "id me; ls /etc/clusterctl", check=False).returncode != 0


class TestUsers:
    def test_they_have_one_number_everywhere_and_keys_that_let_them_in(self, lab):
        three(lab, facets=MACHINE | {Facet.SHARED_HOME})
        cluster = lab.cluster()
        join(plugin("base"), cluster)
        users = plugin("users", usernames="anna", num_users=2)
        users.clusterctl_prepare(cluster)
        first = join(users, cluster)
        assert "changed: user user002" in first["node002"]
        names = ["anna", "user001", "user002"]
        assert len({lab.sh(alias, f"id -u {' '.join(names)}") for alias in lab.nodes}) == 1
        for name in names:
            assert ssh(lab, "node001", name, "node002", "whoami") == name
            key = lab.folder / "users" / name
            assert key.stat().st_mode & 0o777 == 0o600
            public = subprocess.run(["ssh-keygen", "-y", "-f", key], capture_output=True, text=True, check=True).stdout
            assert public.split()[1] in lab.sh("master", f"cat /home/users/{name}/.ssh/authorized_keys")
        assert lab.sh("node001", "cat /home/users/user001/.ssh/id_ed25519", user="user002", check=False).returncode != 0
        again = plugin("users", usernames="anna", num_users=2)
        assert join(again, lab.cluster()) == {alias: [] for alias in lab.nodes}
        more = join(plugin("users", usernames="anna", num_users=3), lab.cluster())
        assert "changed: user user003" in more["node001"]
        assert not any("user001" in line for line in more["node001"])

    def test_homes_that_are_not_shared_are_refused_on_workers(self, lab):
        for alias in (MASTER, "node001"):
            lab.boot(alias)
        join(plugin("base"), lab.cluster())
        with pytest.raises(RemoteError, match="node001: /home/users is not shared with this node"):
            join(plugin("users", usernames="anna"), lab.cluster())

    def test_they_leave_a_host_that_lasts(self, lab):
        lab.boot(MASTER, facets=LASTING | {Facet.SHARED_HOME})
        cluster = lab.cluster()
        before, files = kept(lab, MASTER), tree(lab, MASTER)
        base, users = plugin("base", keep_home=False), plugin("users", num_users=2, keep_homes=False)
        join(base, cluster)
        join(users, cluster)
        users.clusterctl_leave(cluster, cluster.master)
        assert lab.sh(MASTER, "ls -d /home/users; id user001", check=False).returncode != 0
        base.clusterctl_leave(cluster, cluster.master)
        assert (kept(lab, MASTER), tree(lab, MASTER)) == (before, files)


@pytest.fixture
def disk(tmp_path):
    """A loop device, which is this computer's: containers see it once it is given to them."""
    disks = []

    def make(size="300M", partitions=0):
        file = tmp_path / f"disk{len(disks)}"
        subprocess.run(["truncate", "-s", size, file], check=True)
        made = subprocess.run(["losetup", "-P", "-f", "--show", file], capture_output=True, text=True)
        if made.returncode != 0:
            pytest.skip(f"docker: no loop devices here: {made.stderr.strip()}")
        disks.append(made.stdout.strip())
        for number in range(1, partitions + 1):
            # Told to the kernel alone: not every kernel reads the table of a loop device.
            where = [str(number), str(2048 + 204800 * (number - 1)), "204800"]
            subprocess.run(["addpart", disks[-1], *where], check=True)
        return disks[-1]

    yield make
    for each in disks:
        subprocess.run(["losetup", "-d", each], check=True)


MOUNTS = ("--cap-add", "SYS_ADMIN", "--security-opt", "apparmor=unconfined")


def with_disks(*disks):
    return (*MOUNTS, *(word for each in disks for word in ("--device", each)))


class TestVolumes:
    def volume(self, device, **about):
        return Volume(**{"name": "data", "mount_path": PurePosixPath("/data"), "device": device, **about})

    @pytest.mark.parametrize("kind", ["ext4", "xfs"])
    def test_a_blank_one_is_formatted_only_where_that_was_asked_for(self, lab, disk, kind):
        device = disk("600M")  # xfs takes no less than 300M
        lab.boot(MASTER, options=with_disks(device))
        lab.sh(MASTER, "mkdir -p /data")
        volumes = plugin("volumes")
        with pytest.raises(RemoteError, match=f"volume data: {device} is blank") as caught:
            join(volumes, lab.cluster(volumes=(self.volume(device, file_system=kind),)))
        assert "FORMAT = yes" in caught.value.remedy
        if kind == "xfs" and "xfs" not in Path("/proc/filesystems").read_text():
            pytest.skip("docker: this kernel has no xfs")
        cluster = lab.cluster(volumes=(self.volume(device, file_system=kind, format=True),))
        assert f"changed: a file system on {device}" in join(volumes, cluster)[MASTER]
        join(plugin("base"), cluster)
        assert lab.sh(MASTER, "stat -c %U /data; findmnt -n -o FSTYPE /data; blkid -p -o value -s LABEL " + device) == (
            f"me\n{kind}\ndata"
        )
        lab.sh(MASTER, "echo kept > /data/work", user="me")
        assert join(volumes, cluster) == {MASTER: []}
        assert "nofail" in lab.sh(MASTER, "grep -A1 '^UUID=.* /data ' /etc/fstab")
        lab.sh(MASTER, "umount /data")
        assert join(volumes, cluster) == {MASTER: [f"changed: /data is {device}"]}
        assert lab.sh(MASTER, "cat /data/work") == "kept"

    def test_what_is_no_file_system_is_never_formatted(self, lab, disk):
        device = disk()
        lab.boot(MASTER, options=with_disks(device))
        lab.sh(MASTER, f"mkswap {device} >/dev/null; sha256sum < {device} > /tmp/before")
        cluster = lab.cluster(volumes=(self.volume(device, format=True),))
        with pytest.raises(RemoteError, match="holds swap, no file system") as caught:
            join(plugin("volumes"), cluster)
        assert "never formatted" in caught.value.remedy
        lab.sh(MASTER, f"sha256sum < {device} | cmp - /tmp/before")

    def test_a_disk_of_several_partitions_needs_the_number_of_one(self, lab, disk):
        device = disk(partitions=2)
        lab.boot(MASTER, options=(*with_disks(device), "--device-cgroup-rule", "b 259:* rwm"))
        for number in (1, 2):
            there = Path(f"/sys/class/block/{Path(device).name}p{number}/dev").read_text().strip().replace(":", " ")
            lab.sh(MASTER, f"mknod {device}p{number} b {there}")
        with pytest.raises(RemoteError, match="has several partitions"):
            join(plugin("volumes"), lab.cluster(volumes=(self.volume(device, format=True),)))
        with pytest.raises(RemoteError, match="has no partition 7"):
            join(plugin("volumes"), lab.cluster(volumes=(self.volume(device, partition=7, format=True),)))
        join(plugin("volumes"), lab.cluster(volumes=(self.volume(device, partition=2, format=True),)))
        assert lab.sh(MASTER, "findmnt -n -o SOURCE /data") == f"{device}p2"
        assert lab.sh(MASTER, f"blkid -p -o value -s TYPE {device}p1 || true") == ""

    def test_one_that_is_elsewhere_or_another_that_is_here_is_refused(self, lab, disk):
        one, two = disk(), disk()
        lab.boot(MASTER, options=with_disks(one, two))
        lab.sh(MASTER, f"mkfs.ext4 -q {one}; mkfs.ext4 -q {two}; mkdir -p /data /other; mount {one} /other")
        with pytest.raises(RemoteError, match=f"{one} is mounted on /other already"):
            join(plugin("volumes"), lab.cluster(volumes=(self.volume(one),)))
        with pytest.raises(RemoteError, match=f"{one} is mounted on /other$"):
            join(plugin("volumes"), lab.cluster(volumes=(self.volume(two, mount_path=PurePosixPath("/other")),)))

    def test_one_that_the_provider_mounts_is_only_looked_at(self, lab):
        lab.boot(MASTER, options=("-v", f"{lab.name}-home:/data"), facets=MACHINE | {Facet.SHARED_HOME})
        cluster = lab.cluster(volumes=(self.volume("", id="vol"),))
        assert join(plugin("volumes"), cluster) == {MASTER: []}
        assert "changed: owner of /data" in join(plugin("base"), cluster)[MASTER]

    def test_the_owner_of_a_home_on_a_volume_is_the_users_number(self, lab, disk):
        device = disk()
        lab.boot(MASTER, options=with_disks(device))
        lab.sh(
            MASTER,
            f"mkfs.ext4 -q {device}; mount {device} /mnt; mkdir /mnt/me; touch /mnt/me/work"
            "; chown -R 4711 /mnt/me; umount /mnt",
        )
        cluster = lab.cluster(volumes=(self.volume(device, mount_path=PurePosixPath("/home")),))
        join(plugin("volumes"), cluster)
        join(plugin("base"), cluster)
        assert lab.sh(MASTER, "id -u me; ls /home/me; stat -c %U /home") == "4711\nwork\nroot"

    def test_it_leaves_a_host_that_lasts_as_it_was(self, lab, disk):
        device = disk()
        lab.boot(MASTER, options=with_disks(device), facets=LASTING)
        before, files = kept(lab, MASTER), tree(lab, MASTER)
        cluster = lab.cluster(volumes=(self.volume(device, format=True),))
        volumes, base = plugin("volumes"), plugin("base", keep_home=False)
        join(volumes, cluster)
        join(base, cluster)
        lab.sh(MASTER, "touch /data/work")
        base.clusterctl_leave(cluster, cluster.master)
        volumes.clusterctl_leave(cluster, cluster.master)
        assert (kept(lab, MASTER), tree(lab, MASTER)) == (before, files)
        lab.sh(MASTER, f"mount {device} /mnt && ls /mnt/work && umount /mnt")


class TestScratch:
    def test_an_empty_disk_becomes_scratch_space_and_stays_it(self, lab, disk):
        device = disk()
        lab.boot(MASTER, options=with_disks(device), facets=LASTING)
        before, files = kept(lab, MASTER), tree(lab, MASTER)
        base, cluster = plugin("base", scratch=device, scratch_path="/big", keep_home=False), lab.cluster()
        assert f"changed: a file system on {device}" in join(base, cluster)[MASTER]
        assert lab.sh(MASTER, "findmnt -n -o SOURCE /big; stat -c %U /big/me") == f"{device}\nme"
        assert join(base, cluster) == {MASTER: []}
        lab.sh(MASTER, "touch /big/me/x; umount /big")
        join(base, cluster)
        assert lab.sh(MASTER, "ls /big/me") == "x", "it was formatted again"
        base.clusterctl_leave(cluster, cluster.master)
        assert (kept(lab, MASTER), tree(lab, MASTER)) == (before, files)

    def test_a_disk_with_anything_on_it_is_never_touched(self, lab, disk):
        device = disk()
        lab.boot(MASTER, options=with_disks(device))
        lab.sh(MASTER, f"mkfs.ext4 -q -L precious {device}")
        with pytest.raises(RemoteError, match=f"{device} is to be scratch space and holds something"):
            join(plugin("base", scratch=device), lab.cluster())
        assert lab.sh(MASTER, f"blkid -p -o value -s LABEL {device}") == "precious"

    def test_several_make_one_stripe_or_the_first_alone(self, lab, disk):
        one, two = disk(), disk()
        lab.boot(MASTER, options=(*with_disks(one, two), "--network", "none"))
        lab.nodes[MASTER] = replace(lab.nodes[MASTER], private_address="10.0.0.1")
        join(plugin("base", scratch=f"{one}, {two}"), lab.cluster())
        assert any("there is no mdadm: of 2 empty disks only" in said for said in lab.said)
        assert lab.sh(MASTER, "findmnt -n -o SOURCE /scratch") == one
        assert lab.sh(MASTER, f"blkid -p {two}", check=False).returncode == 2

    def test_none_makes_no_folder(self, lab):
        lab.boot(MASTER)
        join(plugin("base", scratch="none"), lab.cluster())
        assert lab.sh(MASTER, "ls -d /scratch", check=False).returncode != 0


def tree(lab, alias):
    """Every file and folder that a cluster could leave behind, but for caches and logs of the system's own."""
    return lab.sh(
        alias,
        "find /etc /home /opt /root /scratch /big /data /usr/local/share /var/lib/clusterctl /var/cache/clusterctl"
        " /var/log/clusterctl /run/clusterctl ! -name '*-' ! -name '*.lock' 2>/dev/null | sort || true",
    )


def certificate():
    """A new certificate that signs itself."""
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    now = dt.datetime.now(dt.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()
