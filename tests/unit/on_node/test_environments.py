"""Environments in a cache: made once, read-only, looked at before they are used, made anew where they are not whole."""

from __future__ import annotations

import os
import shutil
import threading
import time

import pytest

from clusterctl.on_node.system import check_environment, keep_environment
from clusterctl.on_node.system.environments import manifest
from clusterctl.on_node.system.environments.shared import Cache, clone, find_fault, grow, locked

CODE = "lib/site-packages/module.py"


class Builder:
    """Builds an environment of a few files, and counts how often."""

    def __init__(self):
        self.built = 0
        self.go = threading.Event()
        self.go.set()

    def __call__(self, folder):
        assert not folder.exists()
        (folder / "bin").mkdir(parents=True)
        (folder / "bin" / "python").symlink_to("/bin/sh")
        (folder / CODE).parent.mkdir(parents=True)
        (folder / CODE).write_text("ANSWER = 42\n")
        (folder / "lib" / "empty").touch()
        self.go.wait(30)
        self.built += 1


@pytest.fixture
def build():
    return Builder()


@pytest.fixture
def cache(tmp_path):
    (tmp_path / "cache").mkdir()
    made = Cache(tmp_path / "cache")
    yield made
    for folder in tmp_path.rglob("*"):  # pytest deletes it as whoever runs it
        if folder.is_dir() and not folder.is_symlink():
            folder.chmod(0o700)


def changed(path):
    """Other words of the same length, at the same time."""
    before = path.stat()
    path.chmod(0o600)
    path.write_text(path.read_text().replace("4", "5"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def longer(path):
    path.chmod(0o600)
    path.write_text("ANSWER = 42  # for now\n")


def touched(path):
    os.utime(path)


def gone(path):
    path.parent.chmod(0o700)
    path.unlink()


def a_link(path):
    gone(path)
    path.symlink_to("/dev/null")


def a_folder(path):
    gone(path)
    path.mkdir()


DAMAGES = [changed, longer, touched, gone, a_link, a_folder]


def test_it_is_built_once(cache, build):
    first, fault = cache.take("name", build)
    assert (cache.take("name", build), fault, build.built) == ((first, ""), "", 1)
    assert [*(first.parent / ".building").iterdir()] == []


def test_nobody_writes_into_it(cache, build):
    folder, _ = cache.take("name", build)
    paths = [path for path in (folder, *folder.rglob("*")) if not path.is_symlink()]
    assert len(paths) == 6
    assert not any(path.stat().st_mode & 0o222 for path in paths)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda act: act.__name__)
def test_one_that_was_damaged_is_made_anew_and_it_is_said(cache, build, damage):
    folder, _ = cache.take("name", build)
    damage(folder / CODE)
    again, fault = cache.take("name", build)
    assert fault == f"{CODE} {'is gone' if damage is gone else 'was changed'}"
    assert ((again / CODE).read_text(), build.built) == ("ANSWER = 42\n", 2)
    assert cache.take("name", build) == (folder, "")


def test_a_link_of_it_that_was_changed_is_damage_too(cache, build):
    folder, _ = cache.take("name", build)
    gone(folder / "bin" / "python")
    (folder / "bin" / "python").symlink_to("/bin/ls")
    assert cache.take("name", build)[1] == "bin/python was changed"


def test_bytecode_that_came_later_is_none(cache, build):
    folder, _ = cache.take("name", build)
    (folder / CODE).parent.chmod(0o700)
    (folder / CODE).with_suffix(".pyc").touch()
    assert cache.take("name", build) == (folder, "")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"format": 1}', "nonsense"])
def test_a_manifest_that_was_damaged_is_believed_in_nothing(cache, build, text):
    folder, _ = cache.take("name", build)
    folder.with_name("name.manifest").write_text(text)
    assert cache.take("name", build)[1] == "has a manifest that was damaged"


def test_one_that_lost_its_interpreter_is_made_anew(cache, build):
    folder, _ = cache.take("name", build)
    gone(folder / "bin" / "python")
    (folder / "bin" / "python").symlink_to("/gone")
    manifest.seal(folder)
    assert cache.take("name", build)[1] == "has lost its interpreter"


def test_one_whose_builder_was_killed_is_made_anew(cache, build, tmp_path):
    scratch = tmp_path / "cache" / ".building" / "name"
    (scratch / "part").mkdir(parents=True)
    (scratch / "part").chmod(0o500)
    build(tmp_path / "cache" / "name")  # moved there, and not sealed yet
    assert cache.take("name", build)[1] == "is not complete"
    assert build.built == 2


def test_of_many_at_once_one_builds_and_the_others_wait(cache, build):
    build.go.clear()
    results = []
    threads = [threading.Thread(target=lambda: results.append(cache.take("name", build))) for _ in range(3)]
    for thread in threads:
        thread.start()
    build.go.set()
    for thread in threads:
        thread.join(30)
    assert (build.built, len({folder for folder, _ in results}), len(results)) == (1, 1, 3)


def test_a_builder_that_fails_leaves_the_way_free(cache, build):
    def fail(folder):
        build(folder)
        raise SystemExit(2)

    with pytest.raises(SystemExit):
        cache.take("name", fail)
    assert cache.take("name", build)[1] == ""


def test_what_nobody_asks_for_goes_once_it_is_old(cache, build, tmp_path):
    old, asked_for = (cache.take(name, build)[0] for name in ("old", "asked for"))
    for folder in (old, asked_for):
        os.utime(folder, (time.time() - 61 * 86400,) * 2)
    cache.take("asked for", build)
    cache.sweep(60)
    names = {path.name for path in (tmp_path / "cache").iterdir()}
    assert names == {"asked for", "asked for.manifest", ".building"}
    Cache(tmp_path / "nowhere").sweep(60)


class TestClone:
    @pytest.fixture
    def cloned(self, cache, build, tmp_path):
        folder, _ = cache.take("name", build)
        with locked(tmp_path / "clones") as clones:
            clone(folder, clones / "name")
        return clones / "name"

    def test_it_is_whole_and_nobody_writes_into_it(self, cloned):
        assert find_fault(cloned, hashes=True) == ""
        assert not any(path.stat().st_mode & 0o222 for path in (cloned, *cloned.rglob("*")) if not path.is_symlink())

    def test_its_files_take_no_space(self, cloned, tmp_path):
        assert (cloned / CODE).stat().st_ino == (tmp_path / "cache" / "name" / CODE).stat().st_ino

    def test_where_there_are_no_hard_links_it_is_a_copy_and_as_whole(self, cloned, tmp_path, monkeypatch):
        def refuse(*_, **__):
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr(os, "link", refuse)
        clone(tmp_path / "cache" / "name", cloned)
        assert find_fault(cloned, hashes=True) == ""
        assert (cloned / CODE).stat().st_nlink == 1

    def test_where_there_is_no_space_nothing_is_left_and_the_reason_is_said(self, cloned, tmp_path, monkeypatch):
        def refuse(*_, **__):
            raise OSError(28, "No space left on device")

        manifest.remove(cloned)
        monkeypatch.setattr(os, "link", refuse)
        monkeypatch.setattr(shutil, "copy2", refuse)
        with pytest.raises(OSError, match="No space left on device"):
            clone(tmp_path / "cache" / "name", cloned)
        assert [*cloned.parent.iterdir()] == []

    def test_it_outlives_the_cache(self, cloned, tmp_path):
        manifest.remove(tmp_path / "cache" / "name")
        assert find_fault(cloned, hashes=True) == ""

    def test_one_that_was_cut_off_is_made_anew(self, cloned, tmp_path):
        manifest.remove(cloned)
        (cloned.with_name("name.new") / "lib").mkdir(parents=True)
        clone(tmp_path / "cache" / "name", cloned)
        assert find_fault(cloned, hashes=True) == ""
        assert {path.name for path in cloned.parent.iterdir()} == {"name", "name.manifest"}

    def test_of_all_nodes_of_a_command_the_first_one_looks(self, cloned):
        assert find_fault(cloned, "first") == ""
        longer(cloned / CODE)
        assert find_fault(cloned, "first") == ""
        assert find_fault(cloned, "second") == f"{CODE} was changed"
        manifest.remove(cloned)
        assert find_fault(cloned, "first") == "is not there"

    def test_what_sizes_and_times_do_not_show_hashes_do_and_whoever_comes_next_knows(self, cloned, tmp_path, capsys):
        link = tmp_path / "env"
        link.symlink_to(cloned)
        check_environment.main({"env": link})
        changed(cloned / CODE)
        assert find_fault(cloned) == ""
        check_environment.main({"env": link})
        assert capsys.readouterr().out == f"clusterctl-fact environment 0 {CODE} was changed\n"
        assert find_fault(cloned) == f"{CODE} was changed"


def test_what_an_earlier_version_made_is_believed(tmp_path, build):
    folder = tmp_path / "env-1"
    build(folder)
    assert manifest.find_fault(folder, hashes=True) == ""


class TestContainers:
    """The environment that containers share is built by a script, and kept by these."""

    @pytest.fixture
    def kept(self, tmp_path, build, monkeypatch, cache):
        folder = tmp_path / "0123-77"
        build(folder)
        monkeypatch.setenv("CLUSTERCTL_ENVIRONMENT", str(folder))
        assert keep_environment.main({"act": "seal"}) == 0
        return folder

    def test_it_is_looked_at_once_a_command(self, kept, capsys):
        assert keep_environment.main({"act": "look", "command": "first"}) == 0
        longer(kept / CODE)
        assert keep_environment.main({"act": "look", "command": "first"}) == 0
        assert capsys.readouterr().out == ""
        assert keep_environment.main({"act": "look", "command": "second"}) == 1
        assert f"note: the packages were damaged ({CODE} was changed) and are made anew" in capsys.readouterr().out

    def test_one_that_was_made_anew_is_whole(self, kept, build):
        manifest.mark_damaged(kept, "x")
        assert keep_environment.main({"act": "look", "command": "first"}) == 1
        for folder in manifest.folders(kept):
            folder.chmod(0o700)
        shutil.rmtree(kept)
        build(kept)
        keep_environment.main({"act": "seal"})
        assert keep_environment.main({"act": "look", "command": "first"}) == 0


class TestGrowing:
    @pytest.fixture
    def former(self, tmp_path, build):
        """One that can be grown from, which is compiled at this moment."""
        folder = tmp_path / "former"
        build(folder)
        (folder / "pyvenv.cfg").write_text("relocatable = true\n")
        for name in ("lock.txt", "complete", "compiling.pid", "compiling.lock"):
            (folder / name).write_text(f"{name} of the former one")
        manifest.seal(folder)
        (folder / "compiling.pid").chmod(0o600)
        yield folder
        for made in tmp_path.rglob("*"):
            if made.is_dir() and not made.is_symlink():
                made.chmod(0o700)

    def test_it_has_all_but_what_is_about_the_former_one(self, former, tmp_path):
        assert grow(former, tmp_path / "new")
        names = {str(path.relative_to(tmp_path / "new")) for path in (tmp_path / "new").rglob("*") if path.is_file()}
        assert names == {"bin/python", CODE, "lib/empty", "pyvenv.cfg"}

    def test_what_compiles_the_former_one_does_not_damage_the_new_one(self, former, tmp_path):
        assert grow(former, tmp_path / "new")
        (tmp_path / "new" / "compiling.pid").write_text("1")
        assert (former / "compiling.pid").read_text() == "compiling.pid of the former one"

    def test_one_whose_programs_name_its_place_is_none_to_grow_from(self, former, tmp_path):
        former.chmod(0o755)
        (former / "pyvenv.cfg").unlink()
        assert not grow(former, tmp_path / "new")
        assert not (tmp_path / "new").exists()
