"""What the `base` plugin does to a machine: users, names, keys."""

from __future__ import annotations

import pytest

from clusterctl.api import RemoteError
from clusterctl.model import MASTER

from ..support.machine_lab import LASTING, certificate, join, kept, plugin, ssh, three, tree, two

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


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
            "/etc/clusterctl:\nshell.csh\nshell.sh\n\n/etc/ssh/ssh_config.d:\n\n/etc/sudoers.d:\nREADME\n\n/root/.ssh:"
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
            base.clusterctl_undo(cluster, node)
        after = {
            alias: (kept(lab, alias), lab.sh(alias, f"cat {kept_too[0]}"), tree(lab, alias)) for alias in lab.nodes
        }
        assert after == before
        assert lab.sh("node001", "pgrep -x sleep -a | grep -c 1000 || true") == "0"

    def test_a_home_with_work_in_it_is_kept_and_taken_up_again(self, lab):
        lab.boot(MASTER, facets=LASTING)
        base, cluster = plugin("base", uid=5005), lab.cluster()
        join(base, cluster)
        lab.sh(MASTER, "touch ~/work", user="me")
        base.clusterctl_undo(cluster, cluster.master)
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
        base.clusterctl_undo(cluster, cluster.master)
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
        base.clusterctl_undo(cluster, cluster.master)
        assert tree(lab, MASTER) == before

    def test_a_file_with_half_of_our_lines_is_not_touched(self, lab):
        lab.boot(MASTER)
        lab.sh(
            MASTER, f"echo '# clusterctl {lab.name} members begin' >> /etc/hosts; echo '192.0.2.1 mine' >> /etc/hosts"
        )
        with pytest.raises(RemoteError, match="/etc/hosts has lines of clusterctl without their begin or end"):
            join(plugin("base"), lab.cluster())
        assert "192.0.2.1 mine" in lab.sh(MASTER, "cat /etc/hosts")
