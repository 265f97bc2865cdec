"""Libraries that take a pool, and joblib's memory, on engines that have them."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(not all(map(find_spec, ("scipy", "emcee"))), reason="libraries: no scipy or no emcee here"),
]


@pytest.fixture(scope="module")
def script(tmp_path_factory, laptop_class):
    """Runs a script of the user's on a cluster with these libraries; returns the lines that it printed."""
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    options = ("--set", "packages.packages=joblib, scipy, emcee", "--set", "ipcluster.engines_per_node=2")
    laptop.run("start", "-s", "2", *options, "science")

    yield lambda text: laptop.run_script(tmp_path_factory.mktemp("script"), text)
    laptop.terminate_all()


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
