"""Libraries that take a pool, joblib's memory, and drop-ins for scikit-learn, on engines that have them."""

from __future__ import annotations

import shlex
import subprocess
import sys
from importlib.util import find_spec

import pytest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(map(find_spec, ("scipy", "emcee", "sklearn"))), reason="libraries: no scipy, emcee or scikit-learn here"
    ),
]


@pytest.fixture(scope="module")
def laptop(tmp_path_factory, laptop_class):
    """One with a cluster that has these libraries."""
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    packages = "packages.packages=joblib, scipy, emcee, scikit-learn"
    laptop.run("start", "-s", "2", "--set", packages, "--set", "ipcluster.engines_per_node=2", "science")
    yield laptop
    laptop.terminate_all()


@pytest.fixture(scope="module")
def script(laptop, tmp_path_factory):
    """Runs a script of the user's; returns the lines that it printed."""
    return lambda text: laptop.run_script(tmp_path_factory.mktemp("script"), text)


def test_scipy_finds_what_it_finds_alone(script):
    assert script("""
        import clusterctl
        import numpy
        from scipy.optimize import differential_evolution

        def valley(x):
            return float(numpy.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))

        options = {"bounds": [(0, 2)] * 3, "seed": 1, "updating": "deferred", "maxiter": 10}
        alone = differential_evolution(valley, **options)
        with clusterctl.Pool() as pool:
            found = differential_evolution(valley, workers=pool.map, **options)
        print(found.x.tolist() == alone.x.tolist(), found.fun == alone.fun, found.nfev == alone.nfev)
    """) == ["True True True"]


def test_emcee_walks_as_it_walks_alone(script):
    assert script("""
        import clusterctl
        import emcee
        import numpy

        def log_density(x):
            return float(-0.5 * numpy.sum(x**2))

        begin = numpy.random.default_rng(0).normal(size=(16, 3))

        def walk(pool=None):
            sampler = emcee.EnsembleSampler(16, 3, log_density, pool=pool)
            sampler.random_state = numpy.random.RandomState(7).get_state()
            sampler.run_mcmc(begin, 20)
            return sampler.get_chain().tolist()

        with clusterctl.Pool() as pool:
            print(walk(pool) == walk())
    """) == ["True"]


def test_values_are_remembered_on_the_nodes_by_all_and_for_the_next_session(script, tmp_path):
    log = tmp_path / "calls"
    log.touch()
    text = f"""
        import clusterctl

        client = clusterctl.connect()

        @client.memory.cache
        def square(number, log={str(log)!r}):
            with open(log, "a") as file:
                file.write("x")
            return number * number

        print(client.map(square, range(20)), square(3))
        print(client.map(lambda number: square(number) + 1, [1, 2]))
        client.close()
    """
    said = [str([number**2 for number in range(20)]) + " 9", "[2, 5]"]
    assert script(text) == said
    assert len(log.read_text()) == 20
    assert script(text) == said
    assert len(log.read_text()) == 20
    assert (
        script("""
        import clusterctl
        client = clusterctl.connect()
        client.memory.clear()
        client.close()
    """)
        == []
    )
    assert script(text) == said
    assert len(log.read_text()) == 40


def test_a_drop_in_is_pickled_as_scikit_learns_own(script, laptop, tmp_path):
    file = tmp_path / "search.pickle"
    script(f"""
        import pickle

        from clusterctl.sklearn import GridSearchCV, cross_val_score
        from sklearn.base import clone
        from sklearn.datasets import make_regression
        from sklearn.ensemble import GradientBoostingRegressor

        X, y = make_regression(200, 5, random_state=0)
        parameters = {{"n_estimators": [5, 10], "random_state": [0]}}
        grid_search = GridSearchCV(GradientBoostingRegressor(), parameters, n_jobs=16)
        grid_search.fit(X, y)
        assert type(clone(grid_search)) is GridSearchCV
        assert len(cross_val_score(GradientBoostingRegressor(n_estimators=5), X, y, cv=4)) == 4
        with open({str(file)!r}, "wb") as opened:
            pickle.dump(grid_search, opened)
    """)
    program = f"""
import pickle, sys
sys.modules["clusterctl"] = None
search = pickle.load(open({str(file)!r}, "rb"))
print(type(search).__module__, search.best_params_["n_estimators"], search.predict([[0.0] * 5]).shape)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == "sklearn.model_selection._search 10 (1,)\n", done.stderr


DROP_IN = """
import clusterctl
from clusterctl.sklearn import GridSearchCV, cross_val_score
from sklearn.datasets import make_regression
from sklearn.linear_model import Ridge

X, y = make_regression(60, 3, random_state=0)

def best(alpha):
    search = GridSearchCV(Ridge(), {"alpha": [alpha, 1e9]}).fit(X, y)
    return search.best_params_["alpha"], len(cross_val_score(Ridge(), X, y, cv=4))
"""


def test_a_drop_in_works_in_a_task(script):
    assert script(f"{DROP_IN}\nprint(clusterctl.connect().map(best, [1.0, 2.0]))") == ["[(1.0, 4), (2.0, 4)]"]


def test_a_drop_in_and_joblibs_name_work_in_the_python_of_a_node(laptop):
    code = f"""{DROP_IN}
import clusterctl.joblib, joblib

with joblib.parallel_config("clusterctl"):
    print(best(1.0), joblib.Parallel()(joblib.delayed(pow)(number, 2) for number in range(3)))
"""
    for alias in ("master", "node001"):
        python = laptop.node_folder("science", alias) / "env" / "bin" / "python"
        command = shlex.join([str(python), "-c", code])
        assert laptop.run("sshnode", "science", alias, command).stdout == "(1.0, 4) [0, 1, 4]\n"
