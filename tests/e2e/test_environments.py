"""An environment whose files are not what was installed is found, made anew and told of, on real nodes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_what_was_changed_in_place_is_found_by_the_next_join_and_by_doctor(new_laptop, tmp_path):
    laptop = new_laptop("home")
    # The files are those of the cache: other tests have theirs.
    downloads = os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache" / "uv")
    laptop.more.update({"XDG_CACHE_HOME": str(tmp_path / "cache"), "UV_CACHE_DIR": downloads})
    laptop.home.mkdir(exist_ok=True)
    (laptop.home / "config").write_text("[cluster bare]\nplugins = packages\n")
    laptop.run("start", "-s", "2", "lab")
    link = laptop.node_folder("lab", "master") / "env"
    assert link.readlink() == (laptop.node_folder("lab", "node001") / "env").readlink()
    (file,) = link.glob("lib/python*/site-packages/supervisor/rpcinterface.py")
    whole = file.read_text()
    assert not file.stat().st_mode & 0o222

    file.chmod(0o644)
    file.write_text(whole + "# changed\n")
    assert "supervisor/rpcinterface.py was changed) and are made anew" in laptop.run("addnode", "lab").stdout
    assert file.read_text() == whole

    before = file.stat()
    file.chmod(0o644)
    file.write_text(whole.replace("import", "export", 1))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert "made anew" not in laptop.run("addnode", "lab").stdout
    said = laptop.run("doctor", "lab", status=1).stdout
    assert "supervisor/rpcinterface.py was changed" in said
    assert "clusterctl runplugin packages lab" in said
    laptop.run("runplugin", "packages", "lab")
    assert file.read_text() == whole
    assert "was changed" not in laptop.run("doctor", "lab", status=None).stdout
    laptop.run("terminate", "--yes", "lab")
