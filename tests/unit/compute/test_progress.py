"""How far a map is: drawn while somebody waits, and never in the way."""

from __future__ import annotations

import io
import pickle
import queue
import sys
import threading
import types

import pytest

from clusterctl.compute.calls import progress
from clusterctl.compute.calls.progress import Display, Progress


class Screen(io.StringIO):
    """What a person sees, and what was written besides."""

    encoding = "utf-8"

    def __init__(self, *, is_terminal):
        super().__init__()
        self.isatty = lambda: is_terminal
        self.has_drawn = threading.Event()

    def write(self, text):
        super().write(text)
        if text.strip():
            self.has_drawn.set()
        return len(text)

    @property
    def line(self):
        """What stands in the last line, where a cursor that goes back writes over it."""
        shown = ""
        for part in self.getvalue().split("\n")[-1].split("\r"):
            shown = part + shown[len(part) :]
        return shown.rstrip()


@pytest.fixture
def screen(monkeypatch):
    """Makes one the place for errors; a display is drawn at once, if at all."""

    def make(*, is_terminal=True):
        made = Screen(is_terminal=is_terminal)
        monkeypatch.setattr(sys, "stderr", made)
        return made

    monkeypatch.setattr(progress, "_AFTER_S", 0.0)
    monkeypatch.setattr(progress, "_EVERY_S", 0.01)
    return make


HALFWAY = Progress(3, 10, 4, 0)


def draw(screen, progress=HALFWAY, **options):
    """Wait until something was drawn; return what stood there and what is left of it."""
    condition, seen = threading.Condition(), []

    def is_ready():
        if screen.has_drawn.is_set():
            seen.append(screen.line)
        return bool(seen)

    assert Display("square", lambda: progress, **options).wait(condition, is_ready, 10)
    return seen[0], screen.line


class TestWhere:
    def test_a_terminal_shows_it_and_then_no_trace_of_it(self, screen):
        shown, left = draw(screen())
        assert shown.startswith("square:  30%|")
        assert "| 3/10 [" in shown
        assert shown.endswith("items/s, 4 engines]")
        assert left == ""

    def test_below_a_notebooks_cell_it_has_one_place_and_stays_there_as_far_as_it_came(self, screen, monkeypatch):
        outputs, drawn = {}, threading.Event()

        def publish(data, transient, update):
            assert update == (transient["display_id"] in outputs)
            outputs[transient["display_id"]] = data["text/plain"]
            drawn.set()

        shell = types.SimpleNamespace(kernel=None, display_pub=types.SimpleNamespace(publish=publish))
        monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
        file, done = screen(is_terminal=False), [3]
        display = Display("square", lambda: Progress(done[0], 10, 4, 0))
        assert display.wait(threading.Condition(), drawn.is_set, 10)
        assert next(iter(outputs.values())).startswith("square:  30%|")
        done[0] = 10
        display.end()
        display.end()
        [last] = outputs.values()
        assert last.startswith("square: 100%|")
        assert file.getvalue() == "", "what comes by there is shown as a fault"

    @pytest.mark.parametrize("options", [{}, {"wanted": False}])
    def test_a_file_or_a_pipe_gets_nothing(self, screen, options):
        file = screen(is_terminal=False)
        assert not Display("square", lambda: None, **options).wait(threading.Condition(), lambda: False, 0.05)
        assert file.getvalue() == ""

    def test_a_file_that_is_to_have_it_gets_lines_and_nothing_to_wipe_away(self, screen):
        file = screen(is_terminal=False)
        draw(file, wanted=True)
        assert file.getvalue().count("\n") == 1
        assert "\r" not in file.getvalue()

    def test_one_who_wants_none_gets_none(self, screen):
        terminal = screen()
        assert not Display("square", lambda: None, wanted=False).wait(threading.Condition(), lambda: False, 0.05)
        assert terminal.getvalue() == ""

    def test_what_is_quick_shows_nothing(self, screen, monkeypatch):
        monkeypatch.setattr(progress, "_AFTER_S", 3600.0)
        terminal = screen()
        assert not Display("square", lambda: None).wait(threading.Condition(), lambda: False, 0.05)
        assert terminal.getvalue() == ""

    def test_without_a_place_for_errors_nothing_is_shown_and_nothing_fails(self, screen, monkeypatch):
        monkeypatch.setattr(sys, "stderr", None)
        display = Display("square", lambda: Progress(1, 2, 3, 0), wanted=True)
        assert not display.wait(threading.Condition(), lambda: False, 0.05)

    def test_a_terminal_that_is_gone_ends_no_map(self, screen, monkeypatch):
        terminal = screen()
        terminal.close()
        display = Display("square", lambda: Progress(1, 2, 3, 0), wanted=True)
        assert not display.wait(threading.Condition(), lambda: False, 0.05)


class TestWhat:
    def test_no_engine_and_items_that_go_out_again_are_told(self, screen):
        assert draw(screen(), Progress(3, 10, 0, 2))[0].endswith("items/s, no engine, 2 again]")

    def test_an_input_without_an_end_has_a_count_and_a_rate(self, screen):
        shown, _ = draw(screen(), Progress(3, None, 4, 0))
        assert "3 items [" in shown
        assert "%" not in shown

    def test_it_fits_into_the_terminal(self, screen, monkeypatch):
        monkeypatch.setenv("COLUMNS", "40")
        assert len(draw(screen(), Progress(3, 10, 4, 0))[0]) < 40


class TestMaps:
    def test_each_kind_of_waiting_shows_it(self, make_pool, screen):
        for wait in (
            lambda pool: pool.map(abs, range(10), progress=True),
            lambda pool: pool.starmap(divmod, [(1, 1)], progress=True),
            lambda pool: pool.map_async(abs, range(10), progress=True).get(),
            lambda pool: list(pool.imap(abs, range(10), progress=True)),
            lambda pool: list(pool.imap_unordered(abs, range(10), progress=True)),
        ):
            terminal = screen()
            pool, channel = make_pool(1)
            channel.by_uuid["uuid0"].before = lambda _, terminal=terminal: terminal.has_drawn.wait(10)
            wait(pool)
            assert terminal.has_drawn.is_set()
            assert terminal.line == ""

    def test_it_is_wiped_away_before_a_callback_prints(self, make_pool, screen):
        terminal = screen()
        pool, channel = make_pool(1)
        channel.by_uuid["uuid0"].before = lambda _: terminal.has_drawn.wait(10)
        lines = []
        result = pool.map_async(abs, [1], progress=True, callback=lambda _: lines.append(terminal.line))
        result.get(10)
        assert lines == [""]

    def test_a_result_says_how_far_it_is(self, make_pool):
        pool, channel = make_pool(3, processes=2)
        held, sizes = threading.Event(), queue.SimpleQueue()
        channel.by_uuid["uuid1"].before = lambda request: (
            sizes.put(len(pickle.loads(request["items"]))),
            held.wait(10),
        )
        result = pool.map_async(abs, range(10), chunksize=5)
        others = 10 - sizes.get(timeout=10)
        while result.progress.done < others:
            result.wait(0.01)
        assert result.progress == Progress(others, 10, 2, 0)
        held.set()
        result.get(10)
        assert result.progress == Progress(10, 10, 2, 0)

    def test_an_iterator_knows_its_total_when_its_input_has_ended(self, make_pool):
        pool, _ = make_pool()
        results = pool.imap(abs, iter(range(10)))
        list(results)
        assert (results.progress.done, results.progress.total) == (10, 10)
