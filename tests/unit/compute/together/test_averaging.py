"""Averaged models equal one process that does the same arithmetic."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from ....support.members import Meeting, load

pytestmark = pytest.mark.usefixtures("allow_loopback")


@pytest.fixture
def sklearn(monkeypatch):
    """It takes seconds to load, and sets these for itself."""
    monkeypatch.setenv("KMP_DUPLICATE_LIB_OK", "True")
    monkeypatch.setenv("KMP_INIT_AT_FORK", "FALSE")
    import sklearn.linear_model
    import sklearn.neural_network

    return sklearn


def make_parts(count, classes=2):
    random = np.random.default_rng(3)
    parts = []
    for number in range(count):
        x = random.standard_normal((20 + 10 * number, 4))
        parts.append((x, (x @ [1.0, -2.0, 0.5, 0.0] > 0).astype(int) + (number % 2 if classes > 2 else 0)))
    return parts


def average(model, parts, epochs, classes=None, weights="samples", names=None):
    """The model of the first member; each has one part."""
    loop = load().average_loop
    models = [copy.deepcopy(model) for _ in parts]

    def act(group):
        program = loop.__globals__
        return program["average_loop"](group, [parts[group.rank]], models[group.rank], epochs, classes, weights, names)

    outcomes = Meeting(len(parts)).run(act)
    assert {kind for kind, _ in outcomes} == {"value"}, outcomes
    return outcomes[0][1]


def by_hand(model, parts, epochs, names, weights, **more):
    """The same in one process."""
    models = [copy.deepcopy(model) for _ in parts]
    shares = np.array([len(x) if weights == "samples" else 1 for x, _ in parts], float)
    shares /= shares.sum()
    for _ in range(epochs):
        for one, (x, y) in zip(models, parts, strict=True):
            one.partial_fit(x, y, **more)
        for name in names:
            mean = sum(share * getattr(one, name) for share, one in zip(shares, models, strict=True))
            for one in models:
                getattr(one, name)[...] = mean
    return models[0]


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["samples", "equal"])
@pytest.mark.parametrize("classes", [2, 3])
def test_scikit_learns_classifier_is_what_one_process_makes_of_it(sklearn, weights, classes):
    parts = make_parts(3, classes)
    model = sklearn.linear_model.SGDClassifier(random_state=1)
    fitted = average(model, parts, 4, weights=weights)
    expected = by_hand(model, parts, 4, ["coef_", "intercept_"], weights, classes=np.arange(classes))
    np.testing.assert_allclose(fitted.coef_, expected.coef_, rtol=1e-9)
    np.testing.assert_allclose(fitted.intercept_, expected.intercept_, rtol=1e-9)
    x, y = make_parts(1, classes)[0]
    assert fitted.score(x, y) == expected.score(x, y)
    assert not hasattr(model, "coef_")


@pytest.mark.slow
def test_a_neural_net_has_lists_of_arrays(sklearn):
    parts = make_parts(2)
    fitted = average(sklearn.neural_network.MLPClassifier((5,), random_state=1), parts, 3)
    x, y = parts[0]
    assert fitted.predict(x).shape == y.shape
    assert len(fitted.coefs_) == 2


class Counts:
    """Fits one number, in an attribute of its own name."""

    def __init__(self):
        self.total = np.zeros(1)

    def partial_fit(self, x, y):
        self.total += y.sum()


def test_what_is_averaged_can_be_named_and_has_to_be_known():
    parts = [(np.zeros((2, 1)), np.full(2, 3.0)), (np.zeros((2, 1)), np.full(2, 5.0))]
    assert average(Counts(), parts, 1, names=["total"]).total == [8.0]
    with pytest.raises(AssertionError, match="has none of coef_, intercept_, coefs_, intercepts_"):
        average(Counts(), parts, 1)


class Net:
    """Has what `average_loop` asks of a model of Keras."""

    def __init__(self):
        self.weights = [np.zeros((2, 1), "f4"), np.zeros(1, "f4")]

    def get_weights(self):
        return [array.copy() for array in self.weights]

    def set_weights(self, weights):
        assert [array.shape for array in weights] == [(2, 1), (1,)]
        self.weights = weights

    def fit(self, x, y, *, epochs, verbose):
        assert (epochs, verbose) == (1, 0)
        self.weights[0] += x.mean()
        self.weights[1] += y.mean()


def test_a_model_of_keras_gets_the_mean_of_all_weights():
    parts = [(np.full((2, 2), 1.0), np.full(2, 3.0)), (np.full((6, 2), 5.0), np.full(6, 7.0))]
    fitted = average(Net(), parts, 2)
    assert fitted.weights[0].tolist() == [[8.0], [8.0]]
    assert fitted.weights[1].tolist() == [12.0]
    assert fitted.weights[0].dtype == np.dtype("f4")


KERAS = """
import keras
import numpy as np
from tests.unit.compute.together.test_averaging import average

x = np.random.default_rng(0).random((256, 4), "f4")
parts = [(x[:128], x[:128].sum(axis=1)), (x[128:], x[128:].sum(axis=1))]
net = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
net.compile(keras.optimizers.SGD(0.1), "mse")
before = net.evaluate(x, x.sum(axis=1), verbose=0)
print(average(net, parts, 5).evaluate(x, x.sum(axis=1), verbose=0) < 0.1 * before)
"""


@pytest.mark.skipif(not (find_spec("jax") and find_spec("keras")), reason="keras: not installed here, with jax")
def test_keras_own_model_learns(allow_subprocess):
    """In a Python of its own: JAX starts programs, and sets variables."""
    done = subprocess.run(
        [sys.executable, "-c", KERAS],
        cwd=Path(__file__).parents[4],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split()[-1:] == ["True"], done.stderr
