"""Images that nodes start from: what one is, and what providers do with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    from clusterctl.events import Reporter


@runtime_checkable
class Images(Protocol):
    """A provider whose nodes start from images and can be made into images."""

    def find_image(self, base: str, content: str) -> str:
        """Return the name of the image baked from `base` (empty: the default) with this content; empty if none."""
        ...

    def save_image(self, cluster: str, base: str, content: str) -> str:
        """Make an image of the cluster's only node, for later look-up by base and content. Return its name."""
        ...

    def list_images(self) -> list[Image]:
        """Return the existing baked images."""
        ...

    def remove_image(self, name: str) -> None:
        """Delete a baked image. A missing image is success."""
        ...


@dataclass(frozen=True)
class Image:
    """A baked image."""

    name: str
    base: str
    content: str
    """The hash of its content."""
    size_gb: float
    made: str
    """The time of creation, in ISO 8601."""


@dataclass(frozen=True)
class ImageSource:
    """The source of the image that nodes start from."""

    base: str = ""
    """The base image; empty: the default."""
    rootfs: Path | None = None
    """A tar of a root file system, instead of a base image."""
    certificates: tuple[Path, ...] = ()
    """PEM certificates of authorities that nodes shall trust."""
    name: str = ""
    """The name of the new image; empty: the default image of nodes."""


@runtime_checkable
class BaseImages(Protocol):
    """A provider whose nodes start from an image that is built on this computer."""

    def build_image(self, source: ImageSource, report: Reporter) -> str:
        """Build the image that nodes start from. `report` is told each line of output. Return the image's name."""
        ...
