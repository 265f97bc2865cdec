"""Images: the one that nodes start from, built from our definition, and those baked from a node."""

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
from clusterctl.providers.base import Image
from clusterctl.providers.docker.engine import asking, is_missing
from clusterctl.providers.docker.records import blank_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from importlib.resources.abc import Traversable
    from pathlib import Path

    from docker import APIClient

    from clusterctl.providers.base import ImageSource
    from clusterctl.providers.docker.records import Container

NODE_IMAGE = "clusterctl-node:latest"
_ROOT = "clusterctl-rootfs:latest"
"""An imported root file system, on which the nodes' image is built."""
_BAKED = "clusterctl-baked"
_FOR_NODES = "clusterctl.node"
_BASE, _CONTENT = "clusterctl.base", "clusterctl.content"
_TAIL = 12
_NO_REGISTRY = (
    "name another --base; where no registry can be reached, give a root file system: `clusterctl image build"
    " --rootfs FILE.tar` (the page on Docker says how to make one)"
)


def find(api: APIClient, name: str) -> Mapping[str, Any] | None:
    """What the engine knows of an image; None if it has none of this name."""
    from docker.errors import APIError

    with asking(f"look for the image {name}"):
        try:
            found: Mapping[str, Any] = api.inspect_image(name)
        except APIError as exc:
            if not is_missing(exc):
                raise
            return None
    return found


def is_for_nodes(image: Mapping[str, Any]) -> bool:
    """Whether it was built from our definition, or on top of such a one."""
    return ((image.get("Config") or {}).get("Labels") or {}).get(_FOR_NODES) == "1"


def build(api: APIClient, source: ImageSource, *, report: Callable[[str], None], usual: str) -> str:
    """Build the image of nodes; `report` gets what the engine says, line by line. Returns its name.

    Raises:
        ProviderError: with the last of what the engine said.
    """
    name = source.name or usual
    base = source.base
    if source.rootfs:
        report(f"Importing {source.rootfs}")
        with asking(f"import {source.rootfs}", remedy="give a tar, packed or not, of a root file system of Debian"):
            _check_imported(api.import_image_from_file(str(source.rootfs), *_ROOT.split(":")))
        base = _ROOT
    before = find(api, name)
    context = build_context(_definition(), source.certificates)
    options = {"buildargs": {"BASE": base}} if base else {}
    lines: list[str] = []
    with asking(f"build the image {name}", remedy=_NO_REGISTRY):
        for part in api.build(
            fileobj=io.BytesIO(context), custom_context=True, tag=name, rm=True, forcerm=True, decode=True, **options
        ):
            lines += _lines(part, report)
            if "error" in part:
                tail = "\n".join([*lines[-_TAIL:], str(part["error"]).strip()])
                raise ProviderError(f"the image {name} could not be built:\n{tail}", remedy=_NO_REGISTRY)
    if source.rootfs:
        _drop(api, _ROOT)  # its name only: what was built on it keeps it
    now = find(api, name)
    if before and now and before["Id"] != now["Id"]:
        _drop(api, before["Id"])
    return name


def _drop(api: APIClient, image: str) -> None:
    """Remove an image that has lost its name, unless a node or another image still needs it."""
    from docker.errors import APIError

    with asking(f"remove the image {image}"), suppress(APIError):
        api.remove_image(image)


def _check_imported(answer: str) -> None:
    """The engine says that it failed in the body of an answer that begins well."""
    for line in answer.splitlines():
        error = json.loads(line).get("error") if line.startswith("{") else None
        if error:
            raise ProviderError(f"the root file system could not be imported: {error}", remedy="give a tar of one")


def _lines(part: Mapping[str, Any], report: Callable[[str], None]) -> list[str]:
    text = str(part.get("stream") or ("" if part.get("progress") else part.get("status")) or "")
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    for line in lines:
        report(line)
    return lines


def _definition() -> Traversable:
    return files("clusterctl_ami") / "docker"


def build_context(definition: Traversable, certificates: Sequence[Path]) -> bytes:
    """Our definition and the user's certificates, as the tar that a build wants."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in _walk(definition):
            _add(tar, name, content)
        for number, path in enumerate(certificates):
            # update-ca-certificates reads *.crt only; a number keeps two of the same name apart.
            _add(tar, f"certificates/{number:02d}-{path.stem}.crt", path.read_bytes())
    return buffer.getvalue()


def _walk(folder: Traversable, prefix: str = "") -> Iterable[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        else:
            yield f"{prefix}{entry.name}", entry.read_bytes()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    # Without times and owners: the same files are the same layers, which the engine has already.
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o644
    tar.addfile(member, io.BytesIO(content))


def baked(api: APIClient, base: str, content: str) -> str:
    """The name of the image baked from `base` with this content; empty without one."""
    found = find(api, base)
    if found is None:
        return ""
    with asking("list the baked images"):
        labels = [f"{_CONTENT}={content}", f"{_BASE}={found['Id']}"]
        names = [name for image in api.images(filters={"label": labels}) for name in image["RepoTags"] or ()]
    return next((name for name in names if name.startswith(f"{_BAKED}:")), "")


def save(api: APIClient, builder: Container, *, base: str, content: str) -> str:
    """Make an image of a container that is stopped; returns its name, which ends in a hash of what is in it."""
    found = find(api, base)
    if found is None:
        raise ProviderError(f"the image {base} is gone", remedy="make it: `clusterctl image build`, and bake again")
    sort = hashlib.sha256(f"{found['Id']}\n{content}".encode()).hexdigest()[:12]
    tag = f"{builder.record.cluster.removeprefix('bake-')}-{sort}"
    labels = {**blank_labels(), _FOR_NODES: "1", _BASE: found["Id"], _CONTENT: content}
    changes = [f"LABEL {json.dumps(key)}={json.dumps(value)}" for key, value in labels.items()]
    with asking(f"save the image {_BAKED}:{tag}", remedy="free some space: `docker system df`; then bake again"):
        api.timeout, usual_s = None, api.timeout  # a node with much on it takes minutes
        try:
            api.commit(builder.id, repository=_BAKED, tag=tag, changes=changes)
        finally:
            api.timeout = usual_s
    return f"{_BAKED}:{tag}"


def all_baked(api: APIClient) -> list[Image]:
    """Every baked image, by name."""
    with asking("list the baked images"):
        found = [
            (image, name)
            for image in api.images(filters={"label": _CONTENT})
            for name in image["RepoTags"] or ()
            if name.startswith(f"{_BAKED}:")
        ]
    return sorted((_image(image, name) for image, name in found), key=lambda image: image.name)


def _image(listed: Mapping[str, Any], name: str) -> Image:
    labels = listed["Labels"]
    return Image(
        name=name,
        base=labels[_BASE],
        content=labels[_CONTENT],
        size_gb=listed["Size"] / 1e9,
        made=datetime.fromtimestamp(listed["Created"], tz=timezone.utc).isoformat(timespec="seconds"),
    )


def remove(api: APIClient, name: str) -> None:
    """Delete a baked image. Not being there is success.

    Raises:
        ProviderError: it was not baked by us, or nodes use it.
    """
    from docker.errors import APIError

    if not name.startswith(f"{_BAKED}:"):
        raise ProviderError(f"{name} is no baked image", remedy="`clusterctl image list` names them")
    with asking(f"remove the image {name}", remedy="end the clusters that use it, then try again"):
        try:
            api.remove_image(name)
        except APIError as exc:
            if not is_missing(exc):
                raise
