"""The scripts of the plugins for machines, as their hooks send them, for the tests of scripts."""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePosixPath

from clusterctl.model import Facet, Machines, Request, Volume
from clusterctl.node import services
from clusterctl.node.render import render
from clusterctl.plugin.loader import find_plugin_class, options_model
from clusterctl.testing import fake_cluster, fake_node

FACTS = "fact: uid 10000\nfact: gid 10000\nfact: user-anna 11000 11000\nfact: key-anna\n"
EVERYTHING = {
    "sudo": True,
    "root_ssh": True,
    "uid": 5005,
    "http_proxy": "http://me:%27@proxy.example.org:3128",
    "no_proxy": ".internal",
    "apt_mirror": "http://mirror.example.org/debian",
    "keep_home": False,
}
DISKS = (
    Volume("my data", PurePosixPath("/it's"), device="/dev/sdb", partition=2, format=True),
    Volume("ebs", PurePosixPath("/ebs"), id="vol-0123", file_system="xfs"),
)
LASTING = (Facet.LASTING,)
SYSTEMD = (Facet.INIT,)


def by_hook(plugin, hook="join", *, alias="master", facets=(), options=None, notes=None, market="", **machines):
    """The script that a plugin's hook runs on a node of a fake cluster, which has what `machines` says."""
    found = find_plugin_class(plugin)
    every = frozenset({Facet.MACHINE, *facets})
    nodes = [
        fake_node(name, cluster="my-lab", facets=every, private_address=f"10.0.0.{number}", port=2222, market=market)
        for number, name in enumerate(("master", "node001", "node002"), start=1)
    ]
    with tempfile.TemporaryDirectory() as laptop:
        certificates = Path(laptop) / "ca.pem"
        certificates.write_text("-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n")
        chosen = dict(options or {})
        cluster = fake_cluster(
            Path(laptop),
            name="my-lab",
            nodes=nodes,
            machines=Machines(**{"user": "it's me", **machines}),
            request=Request(
                apt=("g++=4:12*", "curl"),
                shared=("/home/it's",),
                environment={"TITLE": 'it\'s "a" $b', "OTHER": ""} if facets else {},
            ),
            notes=notes,
            answers={"id -u*": "10000 10000", "for name*": "anna 11000 11000", "cat /root*": "KEY", "*": FACTS},
        )
        if "ca_certificates" in chosen:
            chosen["ca_certificates"] = (certificates,)
        acting = found(options_model(found)(**chosen))
        arguments = {} if hook == "members" else {"node": cluster.node(alias)}
        getattr(acting, f"clusterctl_{hook}")(cluster, **arguments)
        return next(ran.text for ran in reversed(cluster.ran) if "set -eu" in ran.text)


RENDERED = {
    "base_system.sh.j2": [],
    "base_shells.sh.j2": [],
    "base_members.sh.j2": [],
    "base_scratch.sh.j2": [],
    "base_keys.sh.j2": [lambda: render("base_keys.sh.j2", cluster="it's", public_key="ssh-ed25519 AAAA it's")],
    "base_forget_key.sh.j2": [lambda: render("base_forget_key.sh.j2", cluster="it's")],
    "base_bake.sh.j2": [lambda: by_hook("base", "bake"), lambda: by_hook("base", "bake", options=EVERYTHING)],
    "base_update.sh.j2": [
        lambda: by_hook("base", "members"),
        lambda: by_hook("base", "members", facets=LASTING, options=EVERYTHING),
    ],
    "base_join.sh.j2": [
        lambda alias=alias, facets=facets, about=about: by_hook("base", alias=alias, facets=facets, **about)
        for alias in ("master", "node001")
        for facets in ((), LASTING)
        for about in (
            {},
            {"options": {**EVERYTHING, "scratch": "/dev/sdb, /dev/sdc", "ca_certificates": "ca.pem"}},
            {"options": {"scratch": "none"}, "dns_prefix": True, "shell": "fish", "volumes": DISKS},
        )
    ],
    "base_leave.sh.j2": [
        lambda alias=alias, options=options: by_hook("base", "undo", alias=alias, facets=LASTING, options=options)
        for alias in ("master", "node001")
        for options in ({}, EVERYTHING)
    ],
    "volumes_join.sh.j2": [
        lambda facets=facets: by_hook("volumes", facets=facets, volumes=DISKS) for facets in ((), LASTING)
    ],
    "volumes_leave.sh.j2": [lambda: by_hook("volumes", "undo", facets=LASTING)],
    "nfs_export.sh.j2": [
        lambda: by_hook("nfs", facets=SYSTEMD, volumes=DISKS),
        lambda: by_hook("nfs", "members", facets=SYSTEMD, notes={"nfs shares": ["/home/it's me"]}),
    ],
    "nfs_mount.sh.j2": [
        lambda: by_hook("nfs", alias="node001", facets=SYSTEMD),
        *(
            lambda alias=alias, facets=facets: by_hook(
                "nfs", alias=alias, facets=(*SYSTEMD, *facets), options={"server": "fs.example.org:/it_s"}
            )
            for alias in ("master", "node001")
            for facets in ((), LASTING)
        ),
    ],
    "nfs_folders.sh.j2": [],
    "nfs_leave.sh.j2": [
        lambda alias=alias, options=options: by_hook(
            "nfs", "undo", alias=alias, facets=(*SYSTEMD, *LASTING), options=options
        )
        for alias in ("master", "node001")
        for options in ({}, {"server": "fs.example.org:/"})
    ],
    "spot_join.sh.j2": [
        lambda facets=facets: by_hook("spot", alias="node001", facets=facets, market="spot") for facets in ((), SYSTEMD)
    ],
    "spot_leave.sh.j2": [lambda: by_hook("spot", "undo", alias="node001", facets=(*SYSTEMD, *LASTING), market="spot")],
    "spot_status.sh.j2": [lambda: render("spot_status.sh.j2", folder=PurePosixPath("/home/it's me"))],
    "spot_drain.sh.j2": [
        lambda node=node: render(
            "spot_drain.sh.j2", status=services.status(node), user="it's me", drain="/env/bin/python /state/drain.py"
        )
        for node in (
            fake_node(facets=frozenset({Facet.MACHINE})),
            fake_node(facets=frozenset({Facet.MACHINE, Facet.INIT})),
        )
    ],
    "spot_stop.sh.j2": [
        lambda node=node: render(
            "spot_stop.sh.j2",
            status=services.status(node),
            stop=services.stop(node, ["engine"]),
            user="it's me",
            runners="[r]un_job ",
            goodbye="/env/bin/python /state/goodbye.py",
        )
        for node in (
            fake_node(facets=frozenset({Facet.MACHINE})),
            fake_node(facets=frozenset({Facet.MACHINE, Facet.INIT})),
        )
    ],
    "users_join.sh.j2": [
        lambda alias=alias, facets=facets: by_hook("users", alias=alias, facets=facets, options={"usernames": "anna"})
        for alias in ("master", "node001")
        for facets in ((), (Facet.SHARED_HOME,), LASTING)
    ],
    "users_leave.sh.j2": [
        lambda alias=alias, keep=keep: by_hook(
            "users", "undo", alias=alias, facets=LASTING, options={"usernames": "anna", "keep_homes": keep}
        )
        for alias in ("master", "node001")
        for keep in (True, False)
    ],
}
