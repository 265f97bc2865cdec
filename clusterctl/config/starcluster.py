"""Translates values of StarCluster's config files: tables, and a function that applies them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from clusterctl.config.ini import problem_of_value
from clusterctl.options import quote_shortened
from clusterctl.text import comma_list

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clusterctl.config.ini import ConfigProblem, RawSection, RawValue

IMAGE = "ubuntu-24.04"

PLUGINS: Mapping[str, str] = {
    "starcluster.plugins.ipcluster.IPCluster": "ipcluster",
    "starcluster.plugins.ipcluster.IPClusterRestartEngines": "ipclusterrestart",
    "starcluster.plugins.ipcluster.IPClusterStop": "ipclusterstop",
    "starcluster.plugins.pypkginstaller.PyPkgInstaller": "packages",
    "starcluster.plugins.pkginstaller.PackageInstaller": "aptpackages",
    "starcluster.plugins.users.CreateUsers": "users",
    "pypackage.PyPackageSetup": "packages",
}

_NO_QUEUE = (
    "there is no queue; run scripts with `clusterctl run` (docs/howto/jobs.md), and functions with `client.map`"
    " (docs/howto/work.md)"
)

# Keys are prefixes of class paths, the longest first.
NO_PLUGIN: Mapping[str, str] = {
    "starcluster.plugins.sge.": _NO_QUEUE,
    "starcluster.plugins.condor.": _NO_QUEUE,
    "starcluster.plugins.hadoop.": "Hadoop is not set up; for data frames and joins name the plugin dask"
    " (docs/howto/dask.md), to map over files use `client.map`",
    "starcluster.plugins.mysql.": "databases are not set up; use Amazon RDS",
    "starcluster.plugins.mpich2.": "name the plugin mpi, for `mpiexec` and `client.together` (docs/howto/allreduce.md)",
    "starcluster.plugins.tmux.": "log in with `clusterctl sshmaster` and run tmux there",
    "starcluster.plugins.xvfb.": "install xvfb with the plugin aptpackages and run programs under xvfb-run",
    "starcluster.plugins.boto.": "it copied your AWS keys to the nodes; give them an instance role",
    "starcluster.": "clusterctl cannot run it; port it to the hooks of clusterctl.api",
}

# Retired types to the nearest type of today: at least as many cores, and a GPU or disks if the old type had them.
INSTANCE_TYPES: Mapping[str, str] = {
    "t1.micro": "t3.micro",
    "m1.small": "m7a.medium",
    "m1.medium": "m7a.medium",
    "m1.large": "m7i.large",
    "m1.xlarge": "m7i.xlarge",
    "m2.xlarge": "r7i.large",
    "m2.2xlarge": "r7i.xlarge",
    "m2.4xlarge": "r7i.2xlarge",
    "c1.medium": "c7i.large",
    "c1.xlarge": "c7i.2xlarge",
    "cc1.4xlarge": "c7i.4xlarge",
    "cc2.8xlarge": "c7i.8xlarge",
    "cg1.4xlarge": "g4dn.4xlarge",
    "cr1.8xlarge": "r7i.8xlarge",
    "g2.2xlarge": "g4dn.2xlarge",
    "g2.8xlarge": "g4dn.8xlarge",
    "hi1.4xlarge": "i4i.4xlarge",
    "hs1.8xlarge": "d3.4xlarge",
}

# The images that StarCluster's documentation, sources and `listpublic` named, in every region, over all its releases.
IMAGES = frozenset(
    (
        *("ami-0330d16a", "ami-04bedf34", "ami-06172543", "ami-06a75a6f", "ami-0af31963", "ami-0f30d166"),
        *("ami-12b6477b", "ami-17b15e7e", "ami-17bd5c7e", "ami-18df4f22", "ami-19e17a2b", "ami-1adf4f20"),
        *("ami-2941ad40", "ami-2faa7346", "ami-3393a45a", "ami-3f29403e", "ami-3f927556", "ami-455e942c"),
        *("ami-4583572c", "ami-4b872756", "ami-52112317", "ami-52a0c53b", "ami-56172513", "ami-6b211202"),
        *("ami-765b3e1f", "ami-7c5c3915", "ami-80bedfb0", "ami-8345c7ea", "ami-8852a0e1", "ami-899d49e0"),
        *("ami-8cf913e5", "ami-8f9e71e6", "ami-999d49f0", "ami-9bf9c9f2", "ami-a19e71c8", "ami-a5c02dcc"),
        *("ami-a5c42dcc", "ami-b2badb82", "ami-bd67add4", "ami-bf5021d6", "ami-c723e8ae", "ami-ca4abfbd"),
        *("ami-cd841af7", "ami-d1c42db8", "ami-d58719ef", "ami-dde431b4", "ami-e3841ad9", "ami-e923f680"),
        *("ami-e92ce780", "ami-efbd5c86", "ami-f1e43198", "ami-f6e5b2a4"),
    )
)

PACKAGES: Mapping[str, str] = {
    "msgpack-python": "msgpack",
    "sklearn": "scikit-learn",
    "pil": "pillow",
    "beautifulsoup": "beautifulsoup4",
    "distribute": "setuptools",
}

_S3_IMAGES = "images are made by EC2 itself, without certificates"
_AWS_ONLY = "the address follows from the region"
_PROXY = "set the environment variable HTTPS_PROXY"

# (kind of section, or plugin:NAME; key): the reason why the line has no effect any more.
NO_EFFECT: Mapping[tuple[str, str], str] = {
    ("global", "enable_experimental"): "nothing is hidden behind it",
    ("global", "refresh_interval"): "nodes are watched as they come, not at intervals",
    ("global", "web_browser"): "no command opens a browser",
    ("aws", "aws_user_id"): _S3_IMAGES,
    ("aws", "ec2_cert"): _S3_IMAGES,
    ("aws", "ec2_private_key"): _S3_IMAGES,
    ("aws", "aws_ec2_path"): _AWS_ONLY,
    ("aws", "aws_s3_host"): _AWS_ONLY,
    ("aws", "aws_s3_path"): _AWS_ONLY,
    ("aws", "aws_port"): _AWS_ONLY,
    ("aws", "aws_is_secure"): "AWS is always reached by TLS",
    ("aws", "aws_validate_certs"): "certificates are always checked",
    ("aws", "aws_proxy"): _PROXY,
    ("aws", "aws_proxy_port"): _PROXY,
    ("aws", "aws_proxy_user"): _PROXY,
    ("aws", "aws_proxy_pass"): _PROXY,
    ("cluster", "vpc_id"): "the VPC follows from SUBNET_ID",
    ("cluster", "disable_cloudinit"): "images without cloud-init are not supported",
    (
        "plugin:ipcluster",
        "notebook_passwd",
    ): "the notebook makes a token of its own, and `start` prints its address",
    ("plugin:ipcluster", "packer"): "ipyparallel chooses how messages are packed",
    ("plugin:ipcluster", "log_level"): "each node's log is under clusters/NAME/logs",
    (
        "plugin:packages",
        "install_command",
    ): "packages are resolved once and installed by uv; for another index set UV_INDEX",
}


# (kind of section, name in StarCluster's own templates): the name that works. StarCluster dropped these lines silently.
RENAMED: Mapping[tuple[str, str], str] = {("permission", "protocol"): "ip_protocol"}


@dataclass(frozen=True)
class TranslatedValue:
    """A translated value. `text` is None if the line is dropped. `note` or `problem` says what was done."""

    text: str | None
    note: str = ""
    problem: str = ""


@dataclass(frozen=True)
class TranslatedSection:
    """A translated section, a note for each changed value, and problems that the user must solve by hand."""

    section: RawSection
    notes: tuple[str, ...] = ()
    problems: tuple[ConfigProblem, ...] = ()


def translate_section(section: RawSection) -> TranslatedSection:
    """Translate the values of one section. A section without old values is returned unchanged."""
    kind = section.kind
    kinds = {kind, f"plugin:{_bundled_name(section)}"} if kind == "plugin" else {kind}
    values: dict[str, RawValue] = {}
    notes: list[str] = []
    problems: list[ConfigProblem] = []
    for key, value in _rename_options(section, notes).items():
        if (kind, key) == ("volume", "device") and "volume_id" in section.values:
            notes.append(f"{value.origin}: has no effect where the volume is found by its id")
        mapped = _translate_value(kinds, key, value.text)
        if mapped.text is not None:
            values[key] = replace(value, text=mapped.text)
        if mapped.note:
            notes.append(f"{value.origin}: {mapped.note}")
        if mapped.problem:
            problems.append(problem_of_value(section, key, mapped.problem))
    return TranslatedSection(replace(section, values=values), tuple(notes), tuple(problems))


def _rename_options(section: RawSection, notes: list[str]) -> dict[str, RawValue]:
    """Return the values by today's names. Each name that changed is added to `notes`."""
    values: dict[str, RawValue] = {}
    for written, value in section.values.items():
        key = RENAMED.get((section.kind, written), written)
        repeated = key != written and key in section.values
        if key != written:
            notes.append(f"{value.origin}: {'has no effect beside' if repeated else 'is read as'} {key.upper()}")
        if not repeated:
            values[key] = value
    return values


def retired_options() -> list[tuple[str, str]]:
    """Return the options of StarCluster that are read and are none of ours, each after the kind of its section."""
    return [*NO_EFFECT, *RENAMED, *(place for place in _RULES if place[1] in _RETIRED)]


def _bundled_name(section: RawSection) -> str:
    """Return the bundled plugin that a section sets up; its options are looked up by this name."""
    value = section.values.get("setup_class")
    return PLUGINS.get(value.text, value.text) if value and value.text else section.name


def _translate_value(kinds: set[str], key: str, text: str) -> TranslatedValue:
    for kind in kinds:
        if (kind, key) in NO_EFFECT:
            # The old value is not shown: some of them are passwords.
            return TranslatedValue(None, note=f"has no effect any more: {NO_EFFECT[kind, key]}")
        if (kind, key) in _RULES:
            return _RULES[kind, key](text)
    return TranslatedValue(text)


def _translate_setup_class(text: str) -> TranslatedValue:
    if text in PLUGINS:
        return TranslatedValue(
            PLUGINS[text], note=f"{text} is read as {PLUGINS[text]}, the plugin that comes with clusterctl"
        )
    for start, advice in NO_PLUGIN.items():
        if text.startswith(start):
            return TranslatedValue(None, problem=f"{text} is not available: {advice}")
    return TranslatedValue(text)


def _translate_disable_queue(text: str) -> TranslatedValue:
    if text.lower() in {"true", "yes", "on", "1"}:
        return TranslatedValue(None, note=f"{text} has no effect any more: there is no queue to disable")
    advice = "clusterctl sets up no Grid Engine; remove the line and send work to the plugin ipcluster"
    return TranslatedValue(None, problem=f"got {quote_shortened(text)}, but {advice}")


def _translate_image(text: str) -> TranslatedValue:
    if text not in IMAGES:
        return TranslatedValue(text)
    return TranslatedValue(IMAGE, note=f"{text}, an image of StarCluster, is read as {IMAGE}")


def _translate_region_host(text: str) -> TranslatedValue:
    if text.endswith(".amazonaws.com"):
        return TranslatedValue(None, note=f"{text} has no effect any more: {_AWS_ONLY}")
    # Without the line the nodes would start, and cost money, in AWS.
    return TranslatedValue(
        None, problem=f"{text} is not AWS; clusterctl starts nodes in AWS only: remove the line to do that"
    )


def _translate_instance_types(text: str) -> TranslatedValue:
    items = comma_list(text)
    if any(":" in item for item in items):
        advice = "write types alone, any of which a worker may get: NODE_INSTANCE_TYPE = c7i.2xlarge, c7a.2xlarge"
        return TranslatedValue(None, problem=f"type:image:count is not supported; {advice}")
    return _translate_items(items, lambda item: INSTANCE_TYPES.get(item, item), "a retired type")


def _translate_packages(text: str) -> TranslatedValue:
    def rename_package(item: str) -> str:
        name, rest = re.fullmatch(r"([\w.-]*)(.*)", item, re.DOTALL).groups()  # type: ignore[union-attr]
        return PACKAGES.get(name.lower(), name) + rest

    return _translate_items(comma_list(text), rename_package, "a package since renamed")


def _translate_items(items: tuple[str, ...], today: Callable[[str], str], what: str) -> TranslatedValue:
    changed = [f"{item}, {what}, is read as {today(item)}" for item in items if today(item) != item]
    return TranslatedValue(", ".join(today(item) for item in items), note="; ".join(changed))


_RETIRED = ("disable_queue", "aws_region_host")
_RULES: Mapping[tuple[str, str], Callable[[str], TranslatedValue]] = {
    ("plugin", "setup_class"): _translate_setup_class,
    ("cluster", "disable_queue"): _translate_disable_queue,
    ("cluster", "node_image_id"): _translate_image,
    ("cluster", "master_image_id"): _translate_image,
    ("cluster", "node_instance_type"): _translate_instance_types,
    ("cluster", "master_instance_type"): _translate_instance_types,
    ("aws", "aws_region_host"): _translate_region_host,
    ("plugin:packages", "packages"): _translate_packages,
}
