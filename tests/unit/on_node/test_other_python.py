"""A function of another Python is refused with an error, and each function of this one is let in."""

from __future__ import annotations

import importlib
import pickle
import sys
from pathlib import Path
from types import CodeType, SimpleNamespace

import pytest

from clusterctl.on_node.with_ipyparallel.patches import other_python

WORK = {
    (3, 10): "740064016402840074017c0083014400830183015300",
    (3, 11): "9700740100000000000000000000640184007403000000000000000000007c00a6010000ab0100000000000000004400a6000000"
    "ab000000000000000000a6010000ab0100000000000000005300",
    (3, 12): "97007401000000000000000064018400740300000000000000007c00ab010000000000004400ab00000000000000ab0100000000"
    "00005300",
    (
        3,
        13,
    ): "95005b01000000000000000053011a005b030000000000000000550035010000000000001300350000000000000035010000000000"
    "002400",
}
"""What each made of ``def work(n): return sum(i * i for i in range(n))``: ``work.__code__.co_code.hex()``."""
SEGFAULTS = pytest.mark.skipif(sys.version_info < (3, 11), reason="before 3.11 nothing tells them apart")


def instructions(text, constants=2):
    return SimpleNamespace(co_code=bytes.fromhex(text), co_consts=(None,) * constants)


@SEGFAULTS
@pytest.mark.parametrize("version", WORK, ids=str)
def test_of_a_function_of_four_pythons_that_of_ones_own_fits(version):
    assert other_python.fits(instructions(WORK[version])) == (version == sys.version_info[:2])


@SEGFAULTS
@pytest.mark.parametrize("text", ["", "00", "0000", "ff00", "97" + "00" * 7, "9700640953005300"], ids=str)
def test_nonsense_does_not(text):
    assert not other_python.fits(instructions(text, constants=1))


def codes(code):
    yield code
    for value in code.co_consts:
        if isinstance(value, CodeType):
            yield from codes(value)


@pytest.mark.parametrize(
    "module",
    ["argparse", "ast", "asyncio.base_events", "collections", "http.client", "inspect", "typing"],
)
def test_all_functions_of_this_python_fit(module):
    source = Path(importlib.import_module(module).__file__)
    every = list(codes(compile(source.read_text(encoding="utf-8"), module, "exec")))
    assert len(every) > 50
    assert [code.co_qualname for code in every if not other_python.fits(code)] == []


@pytest.fixture
def codeutil(monkeypatch):
    from ipyparallel.serialize import codeutil

    monkeypatch.setattr(codeutil, "code_ctor", codeutil.code_ctor)  # as it was, afterwards
    other_python.apply(codeutil)
    return codeutil


@pytest.mark.filterwarnings("ignore")  # what ipyparallel says of itself when it is imported
class TestPatch:
    def test_a_function_comes_and_goes_as_before(self, codeutil):
        def twice(number):
            return [value * 2 for value in range(number)]

        sent = pickle.dumps(twice.__code__)
        assert b"clusterctl" not in sent.replace(str(Path(__file__).parent).encode(), b"")
        assert pickle.loads(sent) == twice.__code__

    @pytest.mark.parametrize("arguments", [(), (1,) * 18], ids=["too few", "of other types"])
    def test_what_makes_no_code_at_all_is_refused_in_the_same_words(self, codeutil, arguments):
        with pytest.raises(TypeError, match="compiled by another Python than this engine's, which is 3"):
            codeutil.code_ctor(*arguments)

    @SEGFAULTS
    def test_one_that_would_end_the_engine_is_refused(self, codeutil):
        _, arguments = codeutil.reduce_code((lambda n: sum(range(n))).__code__)
        other = WORK[3, 12] if sys.version_info[:2] != (3, 12) else WORK[3, 13]
        changed = [
            bytes.fromhex(other) if value == (lambda n: sum(range(n))).__code__.co_code else value
            for value in arguments
        ]
        assert changed != list(arguments)
        with pytest.raises(TypeError, match="run your program with Python"):
            codeutil.code_ctor(*changed)


def test_an_ipyparallel_that_makes_code_in_another_way_is_left_alone(capsys):
    other = SimpleNamespace(__name__="codeutil", code_ctor=lambda version, args: None)
    before = other.code_ctor
    other_python.apply(other)
    assert other.code_ctor is before
    assert "code_ctor takes version, args): a function of another Python may end an engine" in capsys.readouterr().err
