"""EC2 from the config, the environment and this laptop: the account, its provider, and the owner tag."""

from __future__ import annotations

import os
import platform
import re
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from typing import TYPE_CHECKING

from clusterctl.files import expand_path
from clusterctl.journal import ClusterFolder
from clusterctl.providers.ec2 import Ec2Options, Ec2Provider, Permission
from clusterctl.providers.ec2.account.caller import Caller
from clusterctl.providers.ec2.aws import Aws, Credentials
from clusterctl.wiring.local_paths import config_path, home_folder, home_suffix, login_name

if TYPE_CHECKING:
    from clusterctl.config.settings import AwsSection, Settings


def make_ec2_provider(settings: Settings | None) -> Ec2Provider:
    """Return the EC2 provider of these settings; None for the account and region of the default config file."""
    return Ec2Provider(
        account_of_section(settings.aws) if settings else open_account(None),
        options=_provider_options(settings) if settings else None,
        journal=lambda cluster: ClusterFolder(home_folder(), cluster),
        owner=owner_tag(),
    )


def _provider_options(settings: Settings) -> Ec2Options:
    template = settings.cluster
    return Ec2Options(
        arch=template.arch,
        zone=template.availability_zone or "",
        any_zone=template.zones == "any",
        subnets=template.subnet_id,
        public_ips=bool(template.public_ips),
        private_workers=template.public_ips == "master",
        address=template.address,
        allow_from=template.allow_from,
        jump=template.proxy_jump or "",
        ssm=template.ssm,
        permissions=tuple(
            Permission(name, section.ip_protocol, section.from_port, section.to_port, section.cidr_ip)
            for name in template.permissions
            if (section := settings.permissions.get(name))
        ),
        security_groups=template.security_groups,
        placement_group=template.placement_group,
        fallback_max=template.fallback_max,
        instance_profile=template.instance_profile or "",
        metadata_for_user=template.metadata_for_user,
        root_volume_gb=template.root_volume_gb,
        master_volume_gb=template.master_volume_gb,
        root_volume_type=template.root_volume_type,
        kms_key=template.kms_key or "",
        home_volume_gb=template.home_volume_gb,
        lifetime_h=template.lifetime,
        master_stops=template.idle_action == "stop",
        tags=dict(tag.split("=", 1) for tag in template.tags),
        key_name=template.keyname or "",
        scripts=template.userdata_scripts,
        shared_home=template.shared_home,
    )


def open_account(config_file: str | None, region: str | None = None, *, fail_fast: bool = False) -> Aws:
    """Return the AWS account of the config file (as given on the command line) and the environment.

    Args:
        config_file: the config file; only its [aws] section counts.
        region: a region other than that of the section.
        fail_fast: give up at once where AWS does not answer.
    """
    from clusterctl.wiring.settings import load_aws  # late: see there

    return account_of_section(load_aws(config_path(config_file)), region, fail_fast=fail_fast)


def account_of_section(section: AwsSection, region: str | None = None, *, fail_fast: bool = False) -> Aws:
    """Return the AWS account of this section. The other arguments are those of `aws`."""
    credentials = Credentials(
        profile=section.aws_profile,
        access_key_id=section.aws_access_key_id,
        secret_access_key=section.aws_secret_access_key,
        session_token=section.aws_session_token,
    )
    own = section.aws_region_name if "aws_region_name" in section.model_fields_set else ""
    region_name = region or own or _profile_region(section.aws_profile) or section.aws_region_name
    return Aws(region_name, credentials, fail_fast=fail_fast)


def _profile_region(profile: str | None) -> str:
    """Return the region of a profile of AWS's own config file; empty if it has none. boto3 is not loaded for it.

    Source: https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html
    """
    name = profile or os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE") or "default"
    file = ConfigParser(interpolation=None, strict=False)
    try:
        file.read(expand_path(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config"), encoding="utf-8")
    except (OSError, ValueError, ConfigParserError):
        return ""
    return file.get("default" if name == "default" else f"profile {name}", "region", fallback="").strip()


def account_owner(aws: Aws) -> str:
    """Return the owner of our resources in an account: who the account takes us for."""
    return open_caller(aws).name()


def open_caller(aws: Aws) -> Caller:
    """Return who asks the account who it takes us for."""
    return Caller(aws, owner_tag())


def owner_tag() -> str:
    """Return the owner of our resources where the account does not say who we are: this user on this computer."""
    computer = re.sub(r"[^A-Za-z0-9_-]", "-", platform.node().partition(".")[0]) or "unknown"
    return f"{login_name()}@{computer}"[: 128 - len(home_suffix())] + home_suffix()
