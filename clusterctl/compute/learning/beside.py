"""What a client gives besides engines: Dask that runs beside them, and data at URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clusterctl.compute.data import Dataset
from clusterctl.compute.learning.dask import open_dask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Beside:
    """A part of `clusterctl.compute.client.Client`."""

    _find_dask: Callable[[], Mapping[str, Any] | None] | None = None
    _dask: Any = None

    def find_dask_by(self, find: Callable[[], Mapping[str, Any] | None] | None) -> None:
        """Have the scheduler of Dask looked up there."""
        self._find_dask = find

    def dask(self, **options: Any) -> Any:
        """Return a ``distributed.Client`` of the Dask that runs beside the engines, the same one each time.

        Dask's collections and ``joblib.parallel_config("dask")`` use it from now on. Close it as any other.

        Args:
            options: passed on to a new ``distributed.Client``.

        Raises:
            StateError: the cluster has no Dask, or another version of it, or its scheduler does not answer.
            UsageError: Dask is not installed here.
        """
        if options or getattr(self._dask, "status", "closed") == "closed":
            self._dask = open_dask(self._find_dask() if self._find_dask else None, options)
        return self._dask

    def s3(self, bucket: str, key: str, **options: Any) -> Dataset:
        """Return what is in a bucket of S3, to be read where it is used, with the role of that machine.

        Nothing is asked now, and no credentials travel unless they are among the options.

        Args:
            bucket: the name of the bucket.
            key: the key in it.
            options: passed on to ``s3fs.S3FileSystem``, such as ``anon=True`` for public data.
        """
        return Dataset(f"s3://{bucket}/{key.lstrip('/')}", options)

    def open(self, url: str, **options: Any) -> Dataset:
        """Return what is at a URL that fsspec knows, to be read where it is used.

        Args:
            url: such as ``s3://bucket/key`` or ``https://...``.
            options: passed on to ``fsspec.open``.
        """
        return Dataset(url, options)
