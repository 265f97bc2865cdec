"""Averaged models: each member fits its own parts, and after each epoch all have the mean of what they fitted."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    # Its text comes before this one.
    from .group import Group

USUAL = ("coef_", "intercept_", "coefs_", "intercepts_")
"""What estimators call that which they fit."""


def average_loop(
    group: Group,
    parts: Sequence[Any],
    model: Any,
    epochs: int,
    classes: Any,
    weights: str,
    average: Sequence[str] | None,
) -> Any:
    """Return the model on the first member.

    Args:
        group: of all members.
        parts: those of this member: pairs of X and y, or functions that return such.
        model: with ``partial_fit``, or Keras' own; it is this member's.
        epochs: so often each part is fitted.
        classes: of a classifier; None: those that any part has.
        weights: ``samples`` or ``equal``.
        average: the names of the attributes; None: the usual ones that the model has.
    """
    loaded = [part() if callable(part) else part for part in parts]
    learner = KerasLearner(model) if is_keras(model) else model
    more = _name_classes(group, learner, [y for _, y in loaded], classes)
    samples = sum(_length(x) for x, _ in loaded)
    weight = float(samples) if weights == "samples" else 1.0
    whole = group.allreduce(weight)
    if not whole:
        raise ValueError("the parts have no samples")
    for _ in range(epochs):
        for x, y in loaded:
            learner.partial_fit(x, y, **more)
        for name in average or _fitted(learner):
            value = getattr(learner, name)
            mean = group.allreduce(_scaled(value, weight / whole))
            _put_back(learner, name, value, mean)
    return model if group.rank == 0 else None


def is_keras(model: Any) -> bool:
    """Return whether a model is fitted and told its weights as Keras has it."""
    return not hasattr(model, "partial_fit") and all(hasattr(model, name) for name in ("get_weights", "set_weights"))


class KerasLearner:
    """A model of Keras, as estimators are fitted."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def partial_fit(self, x: Any, y: Any) -> None:
        """Go through the samples once."""
        self._model.fit(x, y, epochs=1, verbose=0)

    @property
    def coefs_(self) -> tuple[Any, ...]:
        """The weights, layer by layer."""
        return tuple(self._model.get_weights())

    @coefs_.setter
    def coefs_(self, weights: tuple[Any, ...]) -> None:
        self._model.set_weights(list(weights))


def _length(x: Any) -> int:
    return int(x.shape[0]) if hasattr(x, "shape") else len(x)


def _name_classes(group: Group, model: Any, labels: Sequence[Any], classes: Any) -> dict[str, Any]:
    """Return the classes as `partial_fit` takes them, alike on all members; nothing where it takes none."""
    if "classes" not in inspect.signature(model.partial_fit).parameters:
        return {}
    import numpy as np

    if classes is None:
        own = np.unique(np.concatenate([np.unique(y) for y in labels]))
        gathered = group.gather(own)
        classes = group.broadcast(None if gathered is None else np.unique(np.concatenate(gathered)))
    return {"classes": np.asarray(classes)}


def _fitted(model: Any) -> list[str]:
    names = [name for name in USUAL if hasattr(model, name)]
    if not names:
        raise TypeError(f"{type(model).__name__} has none of {', '.join(USUAL)}: average=[...] names what it fits")
    return names


def _scaled(value: Any, factor: float) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_scaled(part, factor) for part in value)
    return value * factor


def _put_back(model: Any, name: str, value: Any, mean: Any) -> None:
    """Replace the numbers where they stand: a model may have other names for the same array."""
    if isinstance(value, list):
        for place, part in enumerate(mean):
            value[place][...] = part
    elif getattr(value, "shape", ()) and value.flags.writeable:
        value[...] = mean
    else:
        setattr(model, name, mean)
