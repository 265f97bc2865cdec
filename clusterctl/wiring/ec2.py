"""EC2 as the config, the environment and this laptop say: the account, its provider, and whose resources are ours."""

from __future__ import annotations

import os
import platform
import re
from typing import TYPE_CHECKING

from clusterctl.config import loading
from clusterctl.journal import ClusterFolder
from clusterctl.providers.ec2 import Ec2Options, Ec2Provider, Permission
from clusterctl.providers.ec2.aws import Aws, Credentials
from clusterctl.wiring.local_paths import config_path, home, mark, user

if TYPE_CHECKING:
    from clusterctl.config.settings import AwsSection, Settings


def provider(settings: Settings | None) -> Ec2Provider:
    """Instances, as the template says; without settings in the account and region of the usual config file."""
    return Ec2Provider(
        aws_of(settings.aws) if settings else aws(None),
        options=_options(settings) if settings else None,
        journal=lambda cluster: ClusterFolder(home(), cluster),
        owner=owner(),
    )


def _options(settings: Settings) -> Ec2Options:
    template = settings.cluster
    return Ec2Options(
        arch=template.arch,
        zone=template.availability_zone or "",
        any_zone=template.zones == "any",
        subnets=template.subnet_id,
        public_ips=template.public_ips,
        address=template.address,
        allow_from=template.allow_from,
        jump=template.proxy_jump or "",
        ssm=template.ssm,
        permissions=tuple(
            Permission(name, each.ip_protocol, each.from_port, each.to_port, each.cidr_ip)
            for name in template.permissions
            if (each := settings.permissions.get(name))
        ),
        security_groups=template.security_groups,
        placement_group=template.placement_group,
        instance_profile=template.instance_profile or "",
        metadata_for_user=template.metadata_for_user,
        root_volume_gb=template.root_volume_gb,
        root_volume_type=template.root_volume_type,
        lifetime_h=template.lifetime,
        tags=dict(tag.split("=", 1) for tag in template.tags),
        key_name=template.keyname or "",
        scripts=template.userdata_scripts,
        shared_home=template.shared_home,
    )


def aws(config_file: str | None, region: str | None = None, *, hasty: bool = False) -> Aws:
    """The AWS account that the config file (as given on the command line) and the environment say.

    Args:
        config_file: only its [aws] section counts.
        region: to look elsewhere than the section says.
        hasty: give up at once where nobody answers.
    """
    return aws_of(loading.load_aws(config_path(config_file), environ=os.environ), region, hasty=hasty)


def aws_of(section: AwsSection, region: str | None = None, *, hasty: bool = False) -> Aws:
    """The AWS account of this section; the other arguments as of `aws`."""
    known = Credentials(
        profile=section.aws_profile,
        access_key_id=section.aws_access_key_id,
        secret_access_key=section.aws_secret_access_key,
        session_token=section.aws_session_token,
    )
    return Aws(region or section.aws_region_name, known, hasty=hasty)


def owner() -> str:
    """Whose resources we work with in an AWS account: this user's on this computer, as a tag's value."""
    computer = re.sub(r"[^A-Za-z0-9_-]", "-", platform.node().partition(".")[0]) or "unknown"
    return f"{user()}@{computer}"[: 128 - len(mark())] + mark()
