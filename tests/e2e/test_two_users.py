"""Two users of one computer: one has a cluster with a notebook, the other tries all that a user without rights can."""

from __future__ import annotations

import json
import os
import re
import stat
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from ..support.two_users import two_users

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]
START = ("start", "-s", "2", "--set", "ipcluster.enable_notebook=yes", "--set", "ipcluster.engines_per_node=1")
KINDS = ("folder", "link", "file", "socket")


@pytest.fixture(scope="module")
def users():
    with two_users() as (victim, thief):
        yield victim, thief


@pytest.fixture(scope="module")
def thief(users):
    return users[1]


@pytest.fixture(scope="module")
def since():
    """The moment from which on all is the cluster's."""
    return time.time() - 1


@pytest.fixture(scope="module")
def laptop(users, since):
    """The victim's, with a cluster that is up."""
    made = users[0].laptop()
    try:
        made.run(*START, "hers", timeout=400)
        yield made
    finally:
        made.terminate_all()


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def notebook_url(laptop, **options):
    return laptop.json("list", "--json", **options)[0]["notebook_url"]


def token_of(url):
    return parse_qs(urlsplit(url).query)["token"][0]


def secrets_of(laptop):
    """All that must stay the victim's: keys of three kinds, and the notebook's token and cookie."""
    master = laptop.node_folder("hers", "master")
    security = master / "state" / "ipython" / "profile_cluster" / "security"
    documents = [laptop.folder("hers") / "client.json", *security.glob("*.json")]
    values = {}
    for file in documents:
        content = json.loads(file.read_text())
        names = ("key", "curve_serverkey", "secret", "public", "token")
        values |= {f"{file.name} {name}": content[name] for name in names if content.get(name)}
    for file in (laptop.folder("hers") / "id_ed25519", master / "host_key"):
        values[file.name] = file.read_text().splitlines()[2]
    (cookie,) = (laptop.home / "local" / "hers" / "home").rglob("jupyter_cookie_secret")
    values[cookie.name] = cookie.read_text().strip()
    values["the URL"] = token_of(notebook_url(laptop))
    return values


def test_the_secrets_that_are_looked_for_are_there(laptop):
    assert {name.split()[-1] for name in secrets_of(laptop)} >= {"secret", "token", "id_ed25519", "host_key", "URL"}


def test_nothing_of_a_cluster_can_be_read_written_or_called(laptop, users, thief, since):
    seen = {entry["path"]: entry["can"] for entry in thief.spy("walk", since, users[0].uid)}
    # Her own folder, which she left open, is all that the walk comes to.
    assert seen == {str(users[0].base): "read"}


def test_the_walk_sees_what_is_open(laptop, users, thief, since):
    file = users[0].base / "open"
    file.write_text("hello")
    os.chown(file, users[0].uid, users[0].uid)
    file.chmod(0o666)
    try:
        (found,) = [entry for entry in thief.spy("walk", since, users[0].uid) if entry["path"] == str(file)]
        assert (found["can"], found["text"]) == ("read write", "hello")
    finally:
        file.unlink()


def test_no_secret_shows_in_what_the_system_tells_of_her_processes(laptop, users, thief):
    told = thief.spy("processes", users[0].uid)
    assert len([name for name in told if name.endswith("cmdline")]) > 10
    assert not [name for name in told if name.split()[1] in {"environ", "maps", "fd", "cwd"}]
    for name, secret in secrets_of(laptop).items():
        assert not [place for place, text in told.items() if secret in text], name


def test_whoever_has_no_key_gets_nothing_from_her_ports(laptop, thief):
    places = [f"{address}:{port}" for address, port in laptop.listeners()]
    assert len(places) > 15
    said = thief.spy("call", *places)
    assert [text for text in said.values() if "SSH-2.0" in text]
    for name, secret in secrets_of(laptop).items():
        assert not [place for place, text in said.items() if secret in text], name
    notebook = urlsplit(notebook_url(laptop)).netloc
    assert re.match(r"HTTP/1\.[01] 403 ", said[f"{notebook} http"])


def test_a_thief_on_the_port_of_a_notebook_that_died_is_not_told_its_token(laptop, users, thief, poll):
    url = notebook_url(laptop)
    place, token = urlsplit(url).netloc, token_of(url)
    # What watches over it would be quicker than we are.
    watchers = [p for p in laptop.processes() if "supervisor.supervisord" in " ".join(p.cmdline())]
    for watcher in watchers:
        watcher.suspend()
    try:
        for process in laptop.find("master", "jupyterlab"):
            process.kill()
        poll(lambda: place not in {f"{a}:{p}" for a, p in laptop.listeners()}, "the notebook is gone")
        with thief.listening(place) as heard:
            refused = laptop.refuse("notebook", "hers", status=1, says=["another user's program has its port"])
            assert token not in refused.stderr
            told = laptop.run("list", "--json").stdout + laptop.run("list").stdout
            assert token not in told
            assert notebook_url(laptop) is None
            for watcher in watchers:
                watcher.resume()
            said = laptop.run("start", "hers", status=None)
            assert token not in said.stdout + said.stderr
            again = laptop.run("start", "hers", status=None)
            assert token not in again.stdout + again.stderr
        assert not [line for line in heard if token in line]
    finally:
        for watcher in watchers:
            watcher.resume()
    laptop.run("start", "hers", status=None)
    laptop.run("start", "hers")
    assert token_of(notebook_url(laptop)) != token


def test_a_thief_on_the_ports_of_a_stopped_cluster_hears_nothing(laptop, thief):
    before = secrets_of(laptop)
    places = [f"{address}:{port}" for address, port in laptop.listeners()]
    laptop.run("stop", "--yes", "hers")
    with thief.listening(*places) as heard:
        started = laptop.run("start", "hers", status=None)
        assert started.returncode == 0, started.stderr
        after = secrets_of(laptop)
        now = {f"{address}:{port}" for address, port in laptop.listeners()}
    assert not now & set(places)
    assert after["the URL"] != before["the URL"]
    assert before["the URL"] not in started.stdout
    for name, secret in {**before, **after}.items():
        assert not [line for line in heard if secret in line], name


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_in_tmp_that_a_thief_has_taken_is_refused_and_never_followed(users, thief, kind):
    place = f"/tmp/clusterctl-{users[0].uid}"
    home = users[0].base / f"squatted-{kind}"
    laptop = users[0].laptop(CLUSTERCTL_HOME=str(home))
    folder = Path(place)
    had = folder.exists()
    if had:
        folder.rename(f"{place}.away")
    before = names_in(thief.base)
    thief.spy("squat", kind, place)
    try:
        laptop.refuse("start", "-s", "1", "x", status=1, says=["belongs to somebody else", "TMPDIR"])
        assert names_in(thief.base) == before
        status = folder.lstat()
        assert (status.st_uid, stat.S_ISDIR(status.st_mode)) == (thief.uid, kind == "folder")
        assert not (stat.S_ISDIR(status.st_mode) and names_in(folder))
    finally:
        if folder.is_dir() and not folder.is_symlink():
            folder.rmdir()
        else:
            folder.unlink()
        if had:
            Path(f"{place}.away").rename(folder)
        laptop.terminate_all()


@pytest.mark.parametrize("variable", ["CLUSTERCTL_HOME", "XDG_CACHE_HOME"])
def test_a_folder_that_both_may_write_is_refused_before_anything_of_it_is_run(users, thief, variable):
    shared = users[0].base.parent / f"shared-{variable}"
    shared.mkdir()
    shared.chmod(0o777)
    thief.spy("squat", "folder", str(shared / "mine"))
    (shared / "mine" / "config").write_text("[global]\nDEFAULT_TEMPLATE = x\n[cluster x]\nPROVIDER = nonsense\n")
    laptop = users[0].laptop(**{variable: str(shared / "mine")})
    laptop.refuse("start", "-s", "1", "x", status=1, says=[str(shared), variable])
    assert names_in(shared / "mine") == ["config"]


def test_who_is_another_user_cannot_log_in_with_a_key_of_their_own(laptop, users, thief):
    """The node's SSH server knows one key; a thief has the name, the port and the host key."""
    record = json.loads((laptop.node_folder("hers", "master") / "node.json").read_text())
    theirs = thief.laptop()
    code = (
        "import paramiko, sys; c = paramiko.SSHClient(); c.set_missing_host_key_policy(paramiko.AutoAddPolicy());\n"
        "key = paramiko.RSAKey.generate(2048)\n"
        "try:\n    c.connect(sys.argv[1], int(sys.argv[2]), username=sys.argv[3], pkey=key, look_for_keys=False)\n"
        "except paramiko.AuthenticationException: print('refused')"
    )
    assert theirs.python(code, record["address"], str(record["port"]), record["user"]) == "refused\n"
