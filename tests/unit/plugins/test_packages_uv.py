"""The script that gets uv onto a machine, run by a real Python against a real index on this computer."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import os
import platform
import subprocess
import sys
import threading
import zipfile

import pytest

from clusterctl.node.programs import node_program

VERSION = "9.8.7"
PROGRAM = b"#!/bin/sh\necho uv 9.8.7\n"
HERE = f"manylinux_2_17_{platform.machine()}.manylinux2014_{platform.machine()}"
NAMES = (
    f"uv-{VERSION}-py3-none-{HERE}.whl",
    f"uv-{VERSION}-py3-none-manylinux_2_99_{platform.machine()}.whl",
    f"uv-{VERSION}-py3-none-manylinux_2_17_vax.whl",
    f"uv-{VERSION}0-py3-none-{HERE}.whl",
    f"uv_build-{VERSION}-py3-none-{HERE}.whl",
    f"uv-{VERSION}.tar.gz",
)
LOGIN = "me:hunter%402"

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the wheels of this test are for glibc")


def wheel(folder, name=NAMES[0], program=PROGRAM):
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr(f"uv-{VERSION}.data/scripts/uv", program)
    return folder / name


class Index(http.server.ThreadingHTTPServer):
    """Pages and files by path; a page is a function of the file's digest. Says what was asked, and by whom."""

    daemon_threads = True

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Handler)
        self.file, self.asked, self.broken = wheel(folder).read_bytes(), [], 0
        self.digest = hashlib.sha256(self.file).hexdigest()
        self.kind, self.login = "text/html", None
        self.url = f"http://127.0.0.1:{self.server_port}/simple"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def page(self):
        links = [f"../../files/{name}" for name in NAMES]
        if self.kind == "text/html":
            anchors = [f"<a data-x='1'\n  href=\"{link}#sha256={self.digest}\">{link}</a>" for link in links]
            return ("<!DOCTYPE html>" + "<br>".join(anchors)).encode()
        files = [{"filename": link, "url": link, "hashes": {"sha256": self.digest}} for link in links]
        return json.dumps({"meta": {"api-version": "1.0"}, "files": files}).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        index = self.server
        index.asked.append((self.path, self.headers.get("Authorization"), self.headers.get("Accept")))
        wanted = "Basic " + base64.b64encode(index.login).decode() if index.login else None
        page = self.path == "/simple/uv/"
        if wanted and self.headers.get("Authorization") != wanted:
            self.send_error(401)
        elif index.broken:
            index.broken -= 1
            self.send_error(503)
        elif page or self.path == f"/files/{NAMES[0]}":
            body = index.page() if page else index.file
            self.send_response(200)
            self.send_header("Content-Type", index.kind if page else "application/octet-stream")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        else:
            self.send_error(404)

    def log_message(self, *_):
        pass


@pytest.fixture
def index(tmp_path, allow_loopback):
    index = Index(tmp_path / "index")
    yield index
    index.shutdown()
    index.server_close()


@pytest.fixture
def get(tmp_path, allow_subprocess):
    """Run the script: its exit status, what it complained of, and what it left."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def get(*, only_links=False, **environment):
        values = {"version": VERSION, "only_links": only_links, "target": folder / "uv"}
        script = node_program("clusterctl.on_node.system.fetch_uv", values)
        ran = subprocess.run(
            [sys.executable, "-I", "-W", "error", "-"],
            input=script,
            text=True,
            capture_output=True,
            env={"PATH": os.environ["PATH"], **environment},
        )
        left = {path.name: path.read_bytes() for path in folder.iterdir()}
        return ran.returncode, ran.stderr, left

    return get


@pytest.mark.parametrize("kind", ["text/html", "application/vnd.pypi.simple.v1+json"])
def test_the_wheel_for_this_machine_is_found_on_the_index_and_its_program_is_left(get, index, kind):
    index.kind = kind
    assert get(UV_DEFAULT_INDEX=f"{index.url}/") == (0, "", {"uv": PROGRAM})
    paths = [path for path, _, _ in index.asked]
    assert paths == ["/simple/uv/", f"/files/{NAMES[0]}"]
    assert index.asked[0][2].startswith("application/vnd.pypi.simple.v1+json")


def test_the_program_may_be_run_by_anybody(get, index, tmp_path):
    get(UV_DEFAULT_INDEX=index.url)
    assert (tmp_path / "bin" / "uv").stat().st_mode & 0o777 == 0o755


def test_a_file_that_is_not_what_the_index_says_is_refused_and_nothing_is_left(get, index):
    index.file += b"x"
    status, said, left = get(UV_DEFAULT_INDEX=index.url)
    assert status == 1
    assert f"Failed to fetch uv {VERSION}" in said
    assert "not what the index says" in said
    assert left == {}


def test_credentials_go_to_the_index_and_to_its_host_and_are_never_shown(get, index):
    index.login = b"me:hunter@2"
    private = index.url.replace("//", f"//{LOGIN}@")
    assert get(UV_DEFAULT_INDEX=private) == (0, "", {"uv": PROGRAM})
    index.login = b"me:other"
    status, said, _ = get(UV_DEFAULT_INDEX=private)
    assert status == 1
    assert "401" in said
    assert "***@" in said
    assert "hunter" not in said


def test_they_do_not_go_to_another_host(get, index, tmp_path):
    other = Index(tmp_path / "other")
    try:
        elsewhere = other.url.removesuffix("/simple")
        anchor = f'<a href="{elsewhere}/files/{NAMES[0]}#sha256={other.digest}">x</a>'
        index.page = anchor.encode
        assert get(UV_DEFAULT_INDEX=index.url.replace("//", f"//{LOGIN}@"))[0] == 0
        assert index.asked[0][1].startswith("Basic ")
        assert [login for _, login, _ in other.asked] == [None]
    finally:
        other.shutdown()
        other.server_close()


def test_a_hiccup_is_not_the_end(get, index):
    index.broken = 1
    assert get(UV_DEFAULT_INDEX=index.url)[0] == 0


def test_further_indexes_are_asked_first_and_one_without_it_is_passed_over(get, index):
    index.page = lambda: b"<html></html>" if len(index.asked) == 1 else Index.page(index)
    assert get(UV_INDEX=f"named={index.url}", UV_DEFAULT_INDEX=index.url)[0] == 0
    assert [path for path, _, _ in index.asked[:2]] == ["/simple/uv/", "/simple/uv/"]


def test_a_wheelhouse_may_be_a_folder_or_a_page_and_alone(get, index, tmp_path):
    wheel(tmp_path / "wheels here", program=b"from a folder")
    links = f"{tmp_path / 'empty'},{tmp_path / 'wheels here'}"
    assert get(only_links=True, UV_FIND_LINKS=links)[2] == {"uv": b"from a folder"}
    assert get(only_links=True, UV_FIND_LINKS=f"{index.url}/uv/")[2] == {"uv": PROGRAM}
    status, said, _ = get(only_links=True, UV_FIND_LINKS=str(tmp_path / "empty"), UV_DEFAULT_INDEX=index.url)
    assert status == 1
    assert "empty" in said
    assert index.url not in said


def test_nothing_that_fits_is_said_for_which_machine(get, index):
    index.page = lambda: b"<html></html>"
    status, said, left = get(UV_DEFAULT_INDEX=index.url)
    assert (status, left) == (1, {})
    assert f"has none for {platform.machine()}" in said


def test_an_index_that_is_not_there_is_out_of_reach(get, index):
    index.shutdown()
    index.server_close()
    status, said, _ = get(UV_DEFAULT_INDEX=index.url)
    assert status == 1
    assert said.startswith(f"Failed to fetch uv {VERSION}:\n{index.url}/uv/: ")
