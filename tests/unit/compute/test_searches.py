"""Tasks of scikit-learn's searches are known; what looks otherwise goes as it came."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from clusterctl.compute import large_arrays
from clusterctl.compute.channel import make_swapper
from clusterctl.compute.large_arrays import StoredArray, StoredRows, Swapped
from clusterctl.compute.learning.fitting import SHARE_FITS, Searches

from ...support.engine_program import load

np = pytest.importorskip("numpy", reason="numpy: is not installed")
# It takes two seconds to load: `_loaded` does so, and not whoever looks which tests there are.
pytestmark = pytest.mark.skipif(find_spec("sklearn") is None, reason="libraries: no scikit-learn here")

tasks = load()
X, Y = np.arange(600.0).reshape(100, 6), np.arange(100)
TRAIN, TEST = np.arange(10, 100), np.arange(10)


@pytest.fixture(scope="module", autouse=True)
def _loaded():
    """It changes the environment when it is loaded, which a test may not."""
    import sklearn.model_selection  # noqa: F401


def task(estimator=None, data=X, values=Y, **changes):
    from sklearn.linear_model import SGDClassifier
    from sklearn.model_selection import _validation

    named = {"train": TRAIN, "test": TEST, "parameters": {}, "candidate_progress": (0, 9), "fit_params": {}}
    return _validation._fit_and_score, (estimator or SGDClassifier(), data, values), {**named, **changes}


def estimator_of(kind):
    from sklearn.linear_model import SGDClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if kind == "no pipeline":
        return SGDClassifier()
    if kind == "one step":
        return make_pipeline(SGDClassifier())
    return make_pipeline(StandardScaler(), SGDClassifier(), memory="/tmp/own" if kind == "own memory" else None)


@pytest.fixture
def searches():
    return Searches(make_swapper(1000), shares_fits=True)


def test_a_fold_is_its_rows_and_the_same_for_all_candidates(searches):
    first, second = (searches.rewrite(task()) for _ in range(2))
    _, (_, data, values), named = first
    assert type(data) is Swapped
    assert second[1][1] is data
    rows = data.make(make_swapper(1000))
    np.testing.assert_array_equal(rows._make(), X[[*TRAIN, *TEST]])
    np.testing.assert_array_equal(values, Y[[*TRAIN, *TEST]])
    make, arguments = named["test"].__reduce__()
    assert make(*arguments).tolist() == list(range(90, 100))


@pytest.mark.parametrize(
    "changes",
    [
        {"data": X[:2]},
        {"data": np.asfortranarray(X)},
        {"data": X.astype(object)},
        {"data": np.ones((100, 100))},
        {"data": X.tolist()},
        {"values": Y.tolist()},
        {"fit_params": {"sample_weight": Y}},
        {"score_params": {"sample_weight": Y}},
        {"train": np.ones(100, bool)},
        {"test": [1, 2]},
        {"candidate_progress": (0, 2)},
        {"candidate_progress": None},
        {"parameters": None},
    ],
    ids="-".join,
)
def test_what_looks_otherwise_goes_as_it_came(searches, changes):
    given = task(**changes)
    assert searches.rewrite(given)[1:] == given[1:]


def test_another_function_goes_as_it_came(searches):
    assert searches.rewrite((print, (1,), {})) == (print, (1,), {})


@pytest.mark.parametrize("kind", ["pipeline", "own memory", "one step", "no pipeline"])
def test_pipelines_share_their_fits_where_nobody_said_otherwise(searches, kind):
    given = task(estimator_of(kind))
    assert (searches.rewrite(given)[0] is SHARE_FITS) == (kind == "pipeline")
    alone = Searches(make_swapper(1000), shares_fits=False)
    assert alone.rewrite(given)[0] is given[0]


class ForeignWarning(Warning):
    pass


def test_filters_of_warnings_of_foreign_packages_stay_here(searches):
    from sklearn.utils.parallel import delayed

    ForeignWarning.__module__ = "urllib3.exceptions"
    function, *arguments = delayed(abs)(1)
    function.with_config_and_warning_filters(
        {}, [("error", None, UserWarning, None, 0), ("error", None, ForeignWarning, None, 0)]
    )
    searches.rewrite((function, *arguments))
    assert [each[2] for each in function.warning_filters] == [UserWarning]


class Counted:
    times = 0


def count(value, ignored=None):
    Counted.times += 1
    return value


def test_fits_are_shared_within_one_search_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(Counted, "times", 0)
    folder = str(tmp_path / "cache" / "fits")
    for search, value, ignored in (("a", 1, 1), ("a", 1, 2), ("a", 2, 1), ("b", 1, 1)):
        act = tasks.SharedFits(search, folder).cache(count, ignore=["ignored"])
        assert act(value, ignored=ignored) == value
    assert Counted.times == 3


@pytest.mark.parametrize("fault", ["others read it", "damaged", "nothing can be written"])
def test_a_folder_that_cannot_be_used_costs_only_time(tmp_path, monkeypatch, fault):
    monkeypatch.setattr(Counted, "times", 0)
    folder = tmp_path / "fits"
    act = tasks.SharedFits("a", str(folder)).cache(count)
    assert act(1) == 1
    if fault == "others read it":
        folder.chmod(0o755)
    elif fault == "damaged":
        for file in folder.iterdir():
            file.write_bytes(b"x")
    else:
        for file in folder.iterdir():
            file.unlink()
        (tmp_path / "fits").rmdir()
        (tmp_path / "fits").touch()
    assert act(1) == 1
    assert Counted.times == 2


def test_who_waits_too_long_does_it_himself(tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "_LATE_S", 0.05)
    with tasks._claim(tmp_path / "lock"), tasks._claim(tmp_path / "lock"):
        pass


def rows_of(array, *numbers):
    return StoredRows(StoredArray(lambda: array), array, *numbers)


def test_rows_of_an_array_that_is_the_same_again_are_named_without_being_made(monkeypatch):
    first = rows_of(X + 0.5, TRAIN, TEST)
    monkeypatch.setattr(StoredRows, "pieces", lambda _: pytest.fail("made"), raising=False)
    again = rows_of(X + 0.5, TRAIN.copy(), TEST)
    assert (again.name, again.bytes, bytes(again.head)) == (first.name, first.bytes, bytes(first.head))


@pytest.mark.parametrize(
    "other",
    [
        lambda: rows_of(X, TEST, TRAIN),
        lambda: rows_of(X, TRAIN[1:], TEST),
        lambda: rows_of(X + 1, TRAIN, TEST),
        lambda: rows_of(X.astype("f4"), TRAIN, TEST),
        lambda: rows_of(np.asfortranarray(X), TEST, TRAIN),
    ],
    ids=["order", "fewer", "values", "kind", "Fortran"],
)
def test_other_rows_have_a_name_of_their_own(other):
    assert other().name != rows_of(X, TRAIN, TEST).name


def test_which_rows_end_the_first_part_makes_no_difference_to_their_name_alone():
    one, other = rows_of(X, TRAIN, TEST), rows_of(X, np.concatenate([TRAIN, TEST]))
    assert one.name == other.name
    assert len(one.numbers) == 2


def test_names_of_rows_are_not_kept_without_end(monkeypatch):
    monkeypatch.setattr(large_arrays, "_MOST_KNOWN", 3)
    for number in range(10):
        rows_of(X, np.array([number]))
        assert len(large_arrays._ROWS_KNOWN) <= 3
