"""What the `base` plugin does to a machine: the system's packages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from clusterctl.api import RemoteError
from clusterctl.model import MASTER

from ..support import fake_dnf
from ..support.machine_lab import certificate, docker, join, plugin

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
UPDATE_CA_TRUST = """#!/bin/sh
echo "$1" >> /fake/trusted
touch /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem
"""


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
