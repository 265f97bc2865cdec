"""Images: the node image, which is built from our definition, and images baked from a node."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from contextlib import suppress
from datetime import datetime, timezone
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from clusterctl.errors import ProviderError
from clusterctl.providers.docker.engine import is_missing, translate_errors
from clusterctl.providers.docker.records import blank_labels
from clusterctl.providers.images import Image

if TYPE_CHECKING:
    import sys
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from docker import APIClient

    from clusterctl.events import Reporter
    from clusterctl.providers.docker.records import Container
    from clusterctl.providers.images import ImageSource

    if sys.version_info >= (3, 11):
        from importlib.resources.abc import Traversable
    else:
        from importlib.abc import Traversable

NODE_IMAGE = "clusterctl-node:latest"
_ROOTFS_IMAGE = "clusterctl-rootfs:latest"
"""An imported root file system, the base of the node image."""
_BAKED = "clusterctl-baked"
_FOR_NODES = "clusterctl.node"
_STOPS = "clusterctl.stops"
_BASE, _CONTENT = "clusterctl.base", "clusterctl.content"
_TAIL_LINES = 12
_NO_REGISTRY = (
    "name another --base; where no registry can be reached, give a root file system: `clusterctl image build"
    " --rootfs FILE.tar` (the page on Docker says how to make one)"
)


def find_image(api: APIClient, name: str) -> Mapping[str, Any] | None:
    """Return what the engine knows about an image, or None if there is no image of this name."""
    from docker.errors import APIError

    with translate_errors(f"look for the image {name}"):
        try:
            image: Mapping[str, Any] = api.inspect_image(name)
        except APIError as exc:
            if not is_missing(exc):
                raise
            return None
    return image


def is_for_nodes(image: Mapping[str, Any]) -> bool:
    """Return whether an image was built from our definition, or on top of such an image."""
    return ((image.get("Config") or {}).get("Labels") or {}).get(_FOR_NODES) == "1"


def can_stop_itself(image: Mapping[str, Any]) -> bool:
    """Return whether nodes of an image can end by themselves. Those of images of earlier versions cannot."""
    return ((image.get("Config") or {}).get("Labels") or {}).get(_STOPS) == "1"


def build_node_image(api: APIClient, source: ImageSource, *, report: Reporter, default: str) -> str:
    """Build the node image. `report` is told each line of the engine's output. Return the image's name.

    Raises:
        ProviderError: the build failed; the message has the last lines of the output.
    """
    name = source.name or default
    base = source.base
    if source.rootfs:
        report.detail(f"Importing {source.rootfs}")
        with translate_errors(
            f"import {source.rootfs}", remedy="give a tar, packed or not, of a root file system of Debian"
        ):
            _check_imported(api.import_image_from_file(str(source.rootfs), *_ROOTFS_IMAGE.split(":")))
        base = _ROOTFS_IMAGE
    old_image = find_image(api, name)
    context = build_context(_node_definition(), source.certificates)
    options = {"buildargs": {"BASE": base}} if base else {}
    lines: list[str] = []
    with translate_errors(f"build the image {name}", remedy=_NO_REGISTRY):
        for part in api.build(
            fileobj=io.BytesIO(context), custom_context=True, tag=name, rm=True, forcerm=True, decode=True, **options
        ):
            lines += _report_lines(part, report)
            if "error" in part:
                tail = "\n".join([*lines[-_TAIL_LINES:], str(part["error"]).strip()])
                raise ProviderError(f"the image {name} could not be built:\n{tail}", remedy=_NO_REGISTRY)
    if source.rootfs:
        _remove_nameless(api, _ROOTFS_IMAGE)  # removes the name only: the image built on it keeps the layers
    new_image = find_image(api, name)
    if old_image and new_image and old_image["Id"] != new_image["Id"]:
        _remove_nameless(api, old_image["Id"])
    return name


def _remove_nameless(api: APIClient, image: str) -> None:
    """Remove an image, unless a node or another image still needs it."""
    from docker.errors import APIError

    with translate_errors(f"remove the image {image}"), suppress(APIError):
        api.remove_image(image)


def _check_imported(answer: str) -> None:
    """Raise ProviderError if an import failed: the engine reports it within a successful answer."""
    for line in answer.splitlines():
        error = json.loads(line).get("error") if line.startswith("{") else None
        if error:
            raise ProviderError(f"the root file system could not be imported: {error}", remedy="give a tar of one")


def _report_lines(part: Mapping[str, Any], report: Reporter) -> list[str]:
    """Report the lines of one part of the build output, and return them."""
    text = str(part.get("stream") or ("" if part.get("progress") else part.get("status")) or "")
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    for line in lines:
        report.detail(line)
    return lines


def _node_definition() -> Traversable:
    return files("clusterctl_ami") / "docker"


def build_context(definition: Traversable, certificates: Sequence[Path]) -> bytes:
    """Return the build context as a tar: our definition and the user's certificates."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in _walk_files(definition):
            _add_member(tar, name, content)
        for number, path in enumerate(certificates):
            # update-ca-certificates reads *.crt only. A number keeps two files of the same name apart.
            _add_member(tar, f"certificates/{number:02d}-{path.stem}.crt", path.read_bytes())
    return buffer.getvalue()


def _walk_files(folder: Traversable, prefix: str = "") -> Iterable[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _walk_files(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry.read_bytes()


def _add_member(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    # Without times and owners the same files give the same layers, which the engine has in its cache.
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o644
    tar.addfile(member, io.BytesIO(content))


def find_baked(api: APIClient, base: str, content: str) -> str:
    """Return the name of the image baked from `base` with this content; empty if there is none."""
    base_image = find_image(api, base)
    if base_image is None:
        return ""
    with translate_errors("list the baked images"):
        labels = [f"{_CONTENT}={content}", f"{_BASE}={base_image['Id']}"]
        names = [name for image in api.images(filters={"label": labels}) for name in image["RepoTags"] or ()]
    return next((name for name in names if name.startswith(f"{_BAKED}:")), "")


def save_baked(api: APIClient, builder: Container, *, base: str, content: str) -> str:
    """Make an image of a stopped container. Return its name, which ends in a hash of its content."""
    base_image = find_image(api, base)
    if base_image is None:
        raise ProviderError(f"the image {base} is gone", remedy="make it: `clusterctl image build`, and bake again")
    content_hash = hashlib.sha256(f"{base_image['Id']}\n{content}".encode()).hexdigest()[:12]
    tag = f"{builder.record.cluster.removeprefix('bake-')}-{content_hash}"
    labels = {**blank_labels(), _FOR_NODES: "1", _BASE: base_image["Id"], _CONTENT: content}
    changes = [f"LABEL {json.dumps(key)}={json.dumps(value)}" for key, value in labels.items()]
    with translate_errors(
        f"save the image {_BAKED}:{tag}", remedy="free some space: `docker system df`; then bake again"
    ):
        api.timeout, default_timeout_s = None, api.timeout  # a node with much data takes minutes
        try:
            api.commit(builder.id, repository=_BAKED, tag=tag, changes=changes)
        finally:
            api.timeout = default_timeout_s
    return f"{_BAKED}:{tag}"


def list_baked(api: APIClient) -> list[Image]:
    """Return all baked images, sorted by name."""
    with translate_errors("list the baked images"):
        tagged_images = [
            (image, name)
            for image in api.images(filters={"label": _CONTENT})
            for name in image["RepoTags"] or ()
            if name.startswith(f"{_BAKED}:")
        ]
    return sorted((_baked_image(image, name) for image, name in tagged_images), key=lambda image: image.name)


def _baked_image(listed: Mapping[str, Any], name: str) -> Image:
    labels = listed["Labels"]
    return Image(
        name=name,
        base=labels[_BASE],
        content=labels[_CONTENT],
        size_gb=listed["Size"] / 1e9,
        made=datetime.fromtimestamp(listed["Created"], tz=timezone.utc).isoformat(timespec="seconds"),
    )


def remove_baked(api: APIClient, name: str) -> None:
    """Delete a baked image. A missing image is success.

    Raises:
        ProviderError: the image was not baked by clusterctl, or nodes use it.
    """
    from docker.errors import APIError

    if not name.startswith(f"{_BAKED}:"):
        raise ProviderError(f"{name} is no baked image", remedy="`clusterctl image list` names them")
    with translate_errors(f"remove the image {name}", remedy="end the clusters that use it, then try again"):
        try:
            api.remove_image(name)
        except APIError as exc:
            if not is_missing(exc):
                raise
