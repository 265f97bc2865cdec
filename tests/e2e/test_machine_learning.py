"""joblib and scikit-learn on the engines of a real cluster: the talks' lines, and the same results as alone."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from moto.server import ThreadedMotoServer

from ..support.notebooks import execute

LIBRARIES = ("numpy", "joblib", "sklearn")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(not all(map(find_spec, LIBRARIES)), reason="libraries: no scikit-learn here"),
]


@pytest.fixture(scope="module")
def laptop(tmp_path_factory, laptop_class):
    """One with a cluster of two nodes, whose engines have scikit-learn."""
    laptop = laptop_class(tmp_path_factory.mktemp("laptop") / "home")
    options = ("--set", "packages.packages=scikit-learn, optuna, s3fs, pandas", "--set", "ipcluster.engines_per_node=2")
    laptop.run("start", "-s", "2", *options, "learning")
    yield laptop
    laptop.terminate_all()


@pytest.fixture(scope="module")
def script(laptop, tmp_path_factory):
    """Runs a script of the user's; returns the lines that it printed."""

    return lambda text: laptop.run_script(tmp_path_factory.mktemp("script"), text)


def test_arrays_and_results_are_let_go_without_a_look_for_garbage(script):
    """Python looks by the number of objects: ten searches would keep ten copies of their data."""
    assert script("""
        import gc
        import time
        import weakref

        import clusterctl
        import numpy as np
        from joblib import Parallel, delayed, parallel_config
        from sklearn.linear_model import SGDClassifier
        from sklearn.model_selection import GridSearchCV

        client = clusterctl.connect()

        def use(call):
            data = np.random.default_rng(0).normal(size=(20_000, 20))
            return [weakref.ref(thing) for thing in (data, *call(data))]

        def add(data):
            return Parallel()(delayed(np.add)(data, number) for number in range(4))

        def search(data):
            grid = {"alpha": [10.0**power for power in range(-6, 3)]}
            GridSearchCV(SGDClassifier(max_iter=3, tol=None), grid, cv=3).fit(data, data[:, 0] > 0)
            return ()

        def fail(data):
            try:
                client.map(len, [data, 0])
            except TypeError:
                return ()

        def leave(data):
            for value in client.pool().imap(abs, [data] * 20):
                return [value]

        pool = client.pool()
        ways = (
            *(add, search, fail, leave),
            lambda data: pool.map(abs, [data]),
            lambda data: pool.imap(abs, [data]),
            lambda data: [pool.apply_async(abs, (data,)).get()],
        )
        with parallel_config("clusterctl"):
            for call in ways:
                use(call)
            gc.collect()
            gc.disable()
            held = [thing for call in ways for thing in use(call)]
        end = time.monotonic() + 20
        while any(thing() is not None for thing in held) and time.monotonic() < end:
            time.sleep(0.01)
        print(len(held), [number for number, thing in enumerate(held) if thing() is not None])
        client.close()
    """) == ["15 []"]


def test_joblib_works_on_engines_as_it_works_alone(script):
    assert script("""
        import multiprocessing
        import os
        import time
        import warnings
        from os.path import join

        import clusterctl
        import numpy as np
        from joblib import Parallel, delayed, effective_n_jobs, parallel_config

        warnings.simplefilter("error")
        client = clusterctl.connect()

        def where(number):
            return number, os.getpid()

        def fail_at_three(number):
            if number == 3:
                raise ValueError("three")
            return number

        def nested(number):
            return sum(Parallel(2)(delayed(abs)(inner) for inner in range(number)))

        with client.joblib():
            print(Parallel(2)(delayed(join)('/ect', s) for s in 'abc'))
            kinds = Parallel(2, max_nbytes=1e6)(delayed(type)(np.zeros(int(i))) for i in [1e4, 1e6])
            print([kind.__name__ for kind in kinds])
        with parallel_config("clusterctl"):
            print([effective_n_jobs(number) for number in (2, -1, -2, 50)])
            for jobs in (2, 3, -1):
                answers = Parallel(jobs)(delayed(where)(number) for number in range(100))
                pids = {pid for _, pid in answers}
                print([number for number, _ in answers] == list(range(100)), len(pids), os.getpid() in pids)
            for kind in ("generator", "generator_unordered"):
                print(sum(Parallel(2, return_as=kind)(delayed(abs)(-number) for number in range(50))))
            try:
                Parallel(2)(delayed(fail_at_three)(number) for number in range(100))
            except ValueError as error:
                print("error:", error)
            try:
                Parallel(2, timeout=0.2)(delayed(time.sleep)(300) for _ in range(4))
            except multiprocessing.TimeoutError:
                print("too late")
            print(Parallel(2)(delayed(nested)(number) for number in range(5)))
        with client.joblib(2, mmap_mode="c"):
            change = Parallel()(delayed(np.add)(array, 1, out=array) for array in [np.zeros(200_000)] * 2)
            print([float(array[0]) for array in change])
        print(client.map(abs, [-1]))
    """) == [
        "['/ect/a', '/ect/b', '/ect/c']",
        "['ndarray', 'memmap']",
        "[2, 4, 3, 4]",
        "True 2 False",
        "True 3 False",
        "True 4 False",
        "1225",
        "1225",
        "error: three",
        "too late",
        "[0, 0, 1, 3, 6]",
        "[1.0, 1.0]",
        "[1]",
    ]


def test_joblib_may_be_loaded_after_the_client_and_its_backend_be_named_in_tasks(script):
    assert script("""
        import os, clusterctl
        client = clusterctl.connect()
        from joblib import Parallel, delayed, parallel_config

        prepare = lambda value: os.environ.update(PREPARED=value)
        look = lambda _: os.environ.get("PREPARED")

        def nested(number):
            from joblib import Parallel, delayed

            return sum(Parallel(n_jobs=2, backend="clusterctl")(delayed(pow)(base, 2) for base in range(number)))

        print(client.map(nested, range(4)))
        print(Parallel(n_jobs=2, backend="clusterctl")(delayed(nested)(number) for number in range(4)))
        looks = [delayed(look)(number) for number in range(8)]
        print(set(Parallel(2, backend="clusterctl", initializer=prepare, initargs=("a",))(looks)))
        with parallel_config("clusterctl", initializer=prepare, initargs=("b",)):
            print(set(Parallel(2)(looks)))
        with client.joblib(2, initializer=prepare, initargs=("c",)):
            print(set(Parallel()(looks)))
    """) == ["[0, 0, 1, 5]", "[0, 0, 1, 5]", "{'a'}", "{'b'}", "{'c'}"]


def test_searches_find_on_a_cluster_what_they_find_alone(script):
    assert script("""
        import warnings

        import clusterctl
        import numpy as np
        from sklearn.datasets import make_regression
        from sklearn.ensemble import BaggingRegressor, GradientBoostingRegressor, RandomForestRegressor
        from sklearn.experimental import enable_halving_search_cv
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV, cross_val_score

        warnings.simplefilter("error")
        client = clusterctl.connect()
        X, y = make_regression(400, 5, random_state=0)
        parameters = {"n_estimators": [5, 10], "max_depth": [2, 3], "random_state": [0]}

        def is_same(alone, together):
            names = [name for name in alone if "time" not in name and "param" not in name]
            is_equal = all(np.array_equal(alone[name], together[name]) for name in names)
            return is_equal and alone["params"] == together["params"]

        for search, options in (
            (GridSearchCV, {}),
            (RandomizedSearchCV, {"n_iter": 3, "random_state": 0}),
            (HalvingGridSearchCV, {"random_state": 0}),
        ):
            alone = search(GradientBoostingRegressor(), parameters, **options).fit(X, y)
            with client.joblib():
                together = search(GradientBoostingRegressor(), parameters, n_jobs=16, **options).fit(X, y)
            print(search.__name__, is_same(alone.cv_results_, together.cv_results_))
        for model in (RandomForestRegressor(20, random_state=0), BaggingRegressor(random_state=0)):
            alone = model.fit(X, y).predict(X)
            with client.joblib():
                model.fit(X, y)
            print(type(model).__name__, np.array_equal(alone, model.predict(X)))
        alone = cross_val_score(Ridge(), X, y)
        with client.joblib():
            print(np.array_equal(alone, cross_val_score(Ridge(), X, y)))
    """) == [
        "GridSearchCV True",
        "RandomizedSearchCV True",
        "HalvingGridSearchCV True",
        "RandomForestRegressor True",
        "BaggingRegressor True",
        "True",
    ]


def test_27_fits_use_3_files_of_rows_and_a_second_run_sends_none(script, laptop):
    assert script("""
        import clusterctl
        import numpy as np
        from clusterctl.compute.pool import Pool
        from sklearn.linear_model import SGDClassifier
        from sklearn.model_selection import GridSearchCV

        client = clusterctl.connect()
        works, give = [], Pool._give
        Pool._give = lambda *arguments: works.append(give(*arguments)) or works[-1]
        X = np.random.default_rng(0).normal(size=(20_000, 10))
        y = X[:, 0] > 0
        model = SGDClassifier(random_state=0, max_iter=5, tol=None)
        grid = {"alpha": [10.0**power for power in range(-4, 5)]}
        alone = GridSearchCV(model, grid, cv=3).fit(X, y)
        files = client[:1].apply_async(
            lambda: len(list(__import__("pathlib").Path("~/.cache/clusterctl/objects").expanduser().iterdir()))
        )
        before = files.get()[0]
        for run in range(2):
            works.clear()
            with client.joblib():
                search = GridSearchCV(model, grid, cv=3, n_jobs=-1).fit(X, y)
            stored = sum(work.report.bytes_stored for work in works)
            scores = [r.cv_results_["mean_test_score"] for r in (alone, search)]
            print(len(works) >= 9, np.array_equal(*scores), stored - X.nbytes if stored else 0)
        after = client[:1].apply_sync(
            lambda: len(list(__import__("pathlib").Path("~/.cache/clusterctl/objects").expanduser().iterdir()))
        )[0]
        print(after - before)  # the array, and the rows of three folds
    """) == ["True True 128", "True True 0", "4"]


def test_pipelines_fit_once_what_they_have_in_common(script, tmp_path):
    log = tmp_path / "log"
    log.touch()
    lines = script(f"""
        import os

        import clusterctl
        import numpy as np
        from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
        from sklearn.linear_model import SGDClassifier
        from sklearn.model_selection import GridSearchCV
        from sklearn.pipeline import Pipeline

        def note(word):
            with open({str(log)!r}, "a") as file:
                file.write(word)

        class Words(CountVectorizer):
            def fit_transform(self, *data):
                note("w")
                return super().fit_transform(*data)

        class Weights(TfidfTransformer):
            def fit(self, *data):
                note("i")
                return super().fit(*data)

        client = clusterctl.connect()
        random = np.random.default_rng(0)
        texts = [" ".join(random.choice(["a1", "b2", "c3", "d4"], 20)) for _ in range(200)]
        labels = random.integers(0, 2, 200)
        pipeline = Pipeline([("vect", Words()), ("tfidf", Weights()), ("clf", SGDClassifier(random_state=0))])
        grid = {{"vect__ngram_range": [(1, 1)], "tfidf__norm": ["l1", "l2"], "clf__alpha": [1e-3, 1e-4, 1e-5]}}
        alone = GridSearchCV(pipeline, grid, cv=5, refit=False).fit(texts, labels)
        note(" ")
        with client.joblib():
            shared = GridSearchCV(pipeline, grid, cv=5, refit=False, n_jobs=-1).fit(texts, labels)
        note(" ")
        with client.joblib(share_fits=False):
            GridSearchCV(pipeline, grid, cv=5, refit=False, n_jobs=-1).fit(texts, labels)
        print(np.array_equal(alone.cv_results_["mean_test_score"], shared.cv_results_["mean_test_score"]))
        print(shared.estimator.memory)
    """)
    assert lines == ["True", "None"]
    counts = [(part.count("w"), part.count("i")) for part in log.read_text().split(" ")]
    assert counts == [(30, 30), (5, 10), (30, 30)]


def test_data_in_s3_is_read_on_the_engines_with_rights_of_their_own(script):
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        assert script(f"""
            import boto3
            import clusterctl

            endpoint = "http://{host}:{port}"
            mine = boto3.client("s3", endpoint_url=endpoint, aws_access_key_id="me", aws_secret_access_key="mine",
                                region_name="us-east-1")
            mine.create_bucket(Bucket="myBucket")
            mine.put_object(Bucket="myBucket", Key="myData.csv", Body=b"height,weight\\n1,10\\n3,30\\n")
            client = clusterctl.connect()
            data = client.s3("myBucket", "myData.csv", endpoint_url=endpoint)

            def mean_of(column):
                import os
                os.environ.update(AWS_ACCESS_KEY_ID="node", AWS_SECRET_ACCESS_KEY="its own")  # as a role gives them
                return float(data.read_csv(usecols=[column])[column].mean())

            print(client.map(mean_of, ["height", "weight"]))
            try:
                client.pool().apply(client.open("gs://bucket/key").open)
            except Exception as error:
                print(type(error).__name__, str(error))
        """) == ["[2.0, 20.0]", "UsageError gcsfs is not installed here, and gs://bucket/key cannot be read without it"]
    finally:
        urlopen(Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()  # else objects stay open
        server.stop()


def test_the_page_about_machine_learning_says_what_happens(script):
    page = (Path(__file__).parents[2] / "docs" / "howto" / "machine-learning.md").read_text()
    code, said = ("".join(re.findall(rf"```{kind}\n(.*?)```", page, re.DOTALL)) for kind in ("python", "text"))
    assert script(code) == said.splitlines()


def test_the_notebook_of_a_grid_search_runs(laptop, tmp_path):
    about, best, table, same, joblib = execute(laptop, "grid-search", tmp_path)
    assert about == "4 engines, 25 kB of data\n"
    assert best.endswith("'max_depth': 3}\n"), "what it looks for needs two features together"
    assert len(table.splitlines()) == 4
    assert same == "True\n"
    assert joblib == "[0, 1, 4, 9, 16]\n"
