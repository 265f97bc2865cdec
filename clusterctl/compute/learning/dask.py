"""Dask's own client of the scheduler beside the engines. distributed is loaded when somebody asks for it."""

from __future__ import annotations

import copyreg
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from clusterctl.compute.learning.fitting import leave_out_foreign_warnings
from clusterctl.errors import StateError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROLES = ("client", "worker")


def open_dask(document: Mapping[str, Any] | None, options: Mapping[str, Any]) -> Any:
    """Return a connected ``distributed.Client``, which Dask and joblib take from now on.

    Args:
        document: where the scheduler is, with the certificates; None where the cluster has none.
        options: passed on.

    Raises:
        StateError: the cluster has no Dask, or another version of it, or its scheduler does not answer.
        UsageError: Dask is not installed here.
    """
    if document is None:
        raise StateError(
            "this cluster has no Dask", remedy="add dask to the PLUGINS of its template, and `clusterctl start` it"
        )
    theirs = str(document["version"])
    try:
        own = version("distributed")
    except PackageNotFoundError:
        raise UsageError(
            "Dask is not installed here", remedy=f"pip install 'dask[array,dataframe]' distributed=={theirs}"
        ) from None
    if own != theirs:
        raise StateError(
            f"this Python has distributed {own} and the cluster runs {theirs}: the two cannot talk",
            remedy=f"pip install distributed=={theirs} here, or `clusterctl start` from this Python, which brings its"
            " version there and starts the workers anew",
        )
    if find_spec("sklearn"):
        _have_searches_travel()
    return _connect(document, options)


def _have_searches_travel() -> None:
    """Have scikit-learn's tasks leave here the filters of warnings of packages that workers may not have.

    The scheduler could not read such a task, and joblib would wait for it for ever.
    """
    from sklearn.utils import parallel  # late, as distributed is

    wrapper = getattr(parallel, "_FuncWrapper", None)
    if wrapper is not None:
        copyreg.pickle(wrapper, _reduce_search)


def _reduce_search(task: Any) -> tuple[Any, ...]:
    travels = SimpleNamespace(**vars(task))
    leave_out_foreign_warnings(travels)
    return object.__new__, (type(task),), vars(travels)


def _connect(document: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    from distributed import Client  # late: most clients never use it, and it takes half a second
    from distributed.security import Security

    own = {f"tls_{role}_{part}": document[part] for role in _ROLES for part in ("cert", "key")}
    security = Security(tls_ca_file=document["ca"], require_encryption=True, **own)
    address = f"tls://{document['host']}:{document['scheduler']}"
    try:
        return Client(address, security=security, **options)
    except (OSError, TimeoutError) as exc:
        raise StateError(
            f"Dask's scheduler does not answer at {address}: {exc}",
            remedy="see `clusterctl status`; `clusterctl start` repairs it",
        ) from exc
