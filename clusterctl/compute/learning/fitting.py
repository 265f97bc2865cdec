"""What scikit-learn's searches have in common is brought once: the rows of a fold, and what pipelines have fitted.

scikit-learn's task of a search is known by its name and its arguments. What looks otherwise goes as it came.
"""

from __future__ import annotations

import sys
import uuid
from typing import TYPE_CHECKING, Any

from clusterctl.compute.channel import InEngine
from clusterctl.compute.large_arrays import StoredRows, Swapped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clusterctl.compute.large_arrays import Swapper

SHARE_FITS = InEngine("share_fits")
_TASK = ("sklearn.model_selection._validation", "_fit_and_score")
_PACKAGES = {"builtins", "__main__", "joblib", "numpy", "pandas", "scipy", "sklearn"}
"""Those whose warnings an engine that fits knows."""
_LEAST_CANDIDATES = 3
"""With fewer, the rows of all folds are more than engines would copy."""


class Span:
    """The numbers from one to another. They are made where they are used."""

    def __init__(self, first: int, end: int) -> None:
        self._first, self._end = first, end

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as an array."""
        import numpy as np

        return np.arange, (self._first, self._end)


class Searches:
    """The tasks of one call of joblib."""

    def __init__(self, swapper: Swapper, *, shares_fits: bool) -> None:
        self._swapper, self._shares_fits, self._name = swapper, shares_fits, uuid.uuid4().hex
        self._folds: dict[tuple[int, ...], tuple[Any, ...]] = {}
        """By the ids of what they are made of, which is kept with them."""

    def rewrite(self, task: tuple[Any, tuple[Any, ...], dict[str, Any]]) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """Return a task as it is sent.

        Args:
            task: a function and its arguments, as joblib has them.
        """
        function, args, kwargs = task
        leave_out_foreign_warnings(function)
        plain = getattr(function, "function", function)
        is_search = (getattr(plain, "__module__", ""), getattr(plain, "__name__", "")) == _TASK
        if not is_search or len(args) != 3 or not {"train", "test"} <= kwargs.keys():
            return task
        estimator, X, y = args  # noqa: N806  as scikit-learn has it
        if self._is_foldable(X, y, kwargs):
            X, y, train, test = self._fold(X, y, kwargs["train"], kwargs["test"])  # noqa: N806
            args, kwargs = (estimator, X, y), {**kwargs, "train": train, "test": test}
        if self._shares_fits and _candidates(kwargs) > 1 and _can_share(estimator):
            return SHARE_FITS, (self._name, function, *args), kwargs
        return function, args, kwargs

    def forget(self) -> None:
        """Forget all folds: the call is over."""
        self._folds.clear()

    def _is_foldable(self, X: Any, y: Any, kwargs: Mapping[str, Any]) -> bool:  # noqa: N803
        """Return whether each row is used by itself, so that rows may be put in another order."""
        numpy = sys.modules.get("numpy")
        if numpy is None or type(X) not in {numpy.ndarray, numpy.memmap} or X.ndim < 2:
            return False
        is_large = X.nbytes >= self._swapper.least and not X.dtype.hasobject and X.flags.c_contiguous
        is_plain = not kwargs.get("fit_params") and not kwargs.get("score_params")  # which may have a value for a row
        is_square = X.shape[0] == X.shape[1]  # it may have distances of rows
        has_values = y is None or (type(y) is numpy.ndarray and len(y) == len(X))
        numbers = [kwargs["train"], kwargs["test"]]
        are_numbers = all(type(rows) is numpy.ndarray and rows.ndim == 1 and rows.dtype.kind == "i" for rows in numbers)
        is_search = _candidates(kwargs) >= _LEAST_CANDIDATES
        return bool(is_large and is_plain and not is_square and has_values and are_numbers and is_search)

    def _fold(self, X: Any, y: Any, train: Any, test: Any) -> tuple[Any, ...]:  # noqa: N803
        """Return the rows of a fold, those to train with first, and the numbers that they have there."""
        import numpy as np

        key = tuple(map(id, (X, y, train, test)))
        if key not in self._folds:
            parts = X, train, test
            rows = Swapped(parts, lambda swapper: StoredRows(swapper.know_array(X), X, train, test), "rows")
            values = None if y is None else np.concatenate([y[train], y[test]])
            numbers = Span(0, len(train)), Span(len(train), len(train) + len(test))
            self._folds[key] = rows, values, *numbers, (X, y, train, test)
        return self._folds[key][:4]


def leave_out_foreign_warnings(function: Any) -> None:
    """Have a task of scikit-learn leave warnings as they are here, but those of packages that engines may not have."""
    filters = getattr(function, "warning_filters", None)
    if isinstance(filters, list):
        known = sys.stdlib_module_names | _PACKAGES
        own = [entry for entry in filters if entry[2].__module__.partition(".")[0] in known]
        function.warning_filters = own or [("default", None, Warning, None, 0)]


def _candidates(kwargs: Mapping[str, Any]) -> int:
    progress = kwargs.get("candidate_progress")
    return progress[1] if kwargs.get("parameters") is not None and progress else 1


def _can_share(estimator: Any) -> bool:
    """Return whether an estimator is a pipeline whose user has not said where its fits are kept."""
    pipeline = sys.modules.get("sklearn.pipeline")
    if pipeline is None or not isinstance(estimator, pipeline.Pipeline):
        return False
    return estimator.memory is None and len(estimator.steps) > 1
