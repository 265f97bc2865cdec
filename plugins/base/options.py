"""The options of the `base` plugin."""

from __future__ import annotations

from pathlib import PurePosixPath

from clusterctl.api import Field, Flag, PathList, Section

_DEVICES = r"^(auto|none|/dev/[\w./:+-]+(\s*,\s*/dev/[\w./:+-]+)*)$"
_URL = r"^https?://[^\s'\"]+$"


class Options(Section):
    """The options of the `base` plugin."""

    sudo: Flag = Field(default=False, description="let the cluster user become root without a password")
    root_ssh: Flag = Field(default=False, description="let root log in from any member to any other without a password")
    uid: int | None = Field(
        None,
        ge=1,
        le=60000,
        description="the cluster user's number; default: the owner of its home, else the first free one from 10000",
        examples=["10000"],
    )
    http_proxy: str | None = Field(
        None,
        pattern=_URL,
        description="proxy for what nodes fetch, by http and https",
        examples=["http://proxy.example.org:3128"],
    )
    no_proxy: str = Field(
        "",
        pattern=r"^[^\s'\"]*$",
        description="what is reached without the proxy, beside the members",
        examples=["pypi.example.org,.internal"],
    )
    apt_mirror: str | None = Field(
        None,
        pattern=_URL,
        description="archive of system packages to use instead of the image's own",
        examples=["http://mirror.example.org/debian"],
    )
    ca_certificates: PathList = Field(
        (),
        description="files on this computer with certificates (PEM) that the nodes shall trust",
        examples=["~/company-ca.pem"],
    )
    scratch: str = Field(
        "auto",
        pattern=_DEVICES,
        description="scratch space: auto (empty instance-store disks, else a folder), none, or block devices",
        examples=["/dev/nvme1n1, /dev/nvme2n1"],
    )
    scratch_path: PurePosixPath = Field(PurePosixPath("/scratch"), description="where scratch space is mounted")
    keep_home: Flag = Field(
        default=True, description="static: keep the home folder of a user that was made, when the cluster ends"
    )
