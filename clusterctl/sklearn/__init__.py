"""scikit-learn's searches and validations, whose fits run on the engines of a cluster.

The engines are those of the client that was connected last, or of one that is connected for it. All else is as in
scikit-learn, and pickles as its own: who loads a search from a file needs no clusterctl.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import joblib
from sklearn import model_selection

# scikit-learn calls these searches experimental, and has them asked for by this import.
from sklearn.experimental import enable_halving_search_cv  # noqa: F401

import clusterctl
from clusterctl.compute.learning.backend import NAME, register

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "GridSearchCV",
    "HalvingGridSearchCV",
    "HalvingRandomSearchCV",
    "RandomizedSearchCV",
    "cross_val_predict",
    "cross_val_score",
    "cross_validate",
    "learning_curve",
    "permutation_test_score",
    "validation_curve",
]
register(clusterctl.connect)


class _OnCluster:
    """A search that fits on a cluster."""

    _plain: Any

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:  # noqa: N803  as scikit-learn has it
        """Fit as scikit-learn does, on the engines."""
        with joblib.parallel_config(NAME):
            return super().fit(X, y, **params)  # type: ignore[misc]

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Be pickled as scikit-learn's own."""
        plain = object.__new__(self._plain)
        plain.__dict__.update(self.__dict__)
        # Not copyreg's __newobj__: pickle asks that such an object be of the very class that is named.
        reconstruct = object.__reduce_ex__(plain, 1)[0]
        return reconstruct, (self._plain, object, None), *plain.__reduce_ex__(protocol)[2:]


class GridSearchCV(_OnCluster, model_selection.GridSearchCV):  # type: ignore[misc]
    """`sklearn.model_selection.GridSearchCV` on a cluster."""

    _plain = model_selection.GridSearchCV


class RandomizedSearchCV(_OnCluster, model_selection.RandomizedSearchCV):  # type: ignore[misc]
    """`sklearn.model_selection.RandomizedSearchCV` on a cluster."""

    _plain = model_selection.RandomizedSearchCV


class HalvingGridSearchCV(_OnCluster, model_selection.HalvingGridSearchCV):  # type: ignore[misc]
    """`sklearn.model_selection.HalvingGridSearchCV` on a cluster."""

    _plain = model_selection.HalvingGridSearchCV


class HalvingRandomSearchCV(_OnCluster, model_selection.HalvingRandomSearchCV):  # type: ignore[misc]
    """`sklearn.model_selection.HalvingRandomSearchCV` on a cluster."""

    _plain = model_selection.HalvingRandomSearchCV


def _on_cluster(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of scikit-learn that works on a cluster."""

    @functools.wraps(function)
    def work(*args: Any, **kwargs: Any) -> Any:
        with joblib.parallel_config(NAME):
            return function(*args, **kwargs)

    return work


cross_val_predict = _on_cluster(model_selection.cross_val_predict)
cross_val_score = _on_cluster(model_selection.cross_val_score)
cross_validate = _on_cluster(model_selection.cross_validate)
learning_curve = _on_cluster(model_selection.learning_curve)
permutation_test_score = _on_cluster(model_selection.permutation_test_score)
validation_curve = _on_cluster(model_selection.validation_curve)
