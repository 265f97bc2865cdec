"""Data at a URL: named here, read where it is used. fsspec reads it, and is loaded then."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from clusterctl.errors import UsageError


class Dataset:
    """What is at a URL. It travels as its name alone: the bytes go to whoever reads them, with that machine's rights.

    Attributes:
        url: such as ``s3://bucket/key``, ``https://...``, ``file:///...``, or another one that fsspec knows.
    """

    def __init__(self, url: str, options: dict[str, Any] | None = None) -> None:
        self.url = url
        self._options = dict(options or {})

    def open(self, mode: str = "rb", **options: Any) -> Any:
        """Return an open file, for a ``with`` statement.

        Raises:
            UsageError: what reads such a URL is not installed where this is called.
        """
        fsspec = _require("fsspec", self.url)
        try:
            return fsspec.open(self.url, mode, **{**self._options, **options})
        except ImportError as exc:  # it knows the kind of URL, and has not the library for it
            raise _missing(_library_of(self.url), self.url) from exc

    def read(self) -> bytes:
        """Return all of it."""
        with self.open() as file:
            content: bytes = file.read()
        return content

    def read_csv(self, **options: Any) -> Any:
        """Return a data frame, as ``pandas.read_csv`` does."""
        pandas = _require("pandas", self.url)
        with self.open() as file:
            return pandas.read_csv(file, **options)

    def read_parquet(self, **options: Any) -> Any:
        """Return a data frame, as ``pandas.read_parquet`` does."""
        pandas = _require("pandas", self.url)
        with self.open() as file:
            return pandas.read_parquet(file, **options)

    def __repr__(self) -> str:
        """Say which, and none of the options: they may hold secrets."""
        return f"Dataset({self.url!r})"


def _require(name: str, url: str) -> Any:
    try:
        return import_module(name)
    except ImportError as exc:
        raise _missing(name, url) from exc


def _missing(library: str, url: str) -> UsageError:
    return UsageError(
        f"{library} is not installed here, and {url} cannot be read without it",
        remedy=f"for the nodes add {library} to PACKAGES of [plugin packages], or `clusterctl install NAME {library}`;"
        f" on your own computer: pip install {library}",
    )


def _library_of(url: str) -> str:
    kind = url.partition(":")[0]
    return {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "http": "aiohttp", "https": "aiohttp"}.get(
        kind, f"what fsspec reads {kind}: with"
    )
