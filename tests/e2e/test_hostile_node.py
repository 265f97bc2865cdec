"""A node that means ill answers each question of each command: the command ends, and is not led by the nose."""

from __future__ import annotations

import pytest

from clusterctl.identity.keys import new_key_pair

from ..support.hostile_host import SHAPES, STREAMS, hostile_host
from ..support.laptop import Laptop

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]
LIMIT_S = 150
COMMANDS = {
    "start": ("start", "lab"),
    "status": ("status", "lab"),
    "status in JSON": ("status", "--json", "lab"),
    "list": ("list",),
    "logs": ("logs", "lab"),
    "doctor": ("doctor", "lab"),
    "exec": ("exec", "lab", "--", "hostname"),
    "exec in JSON": ("exec", "--json", "lab", "--", "hostname"),
    "put": ("put", "lab", "{work}/mine", "there"),
    "get": ("get", "lab", "there", "{work}/got"),
    "report": ("report", "-o", "{work}/report.tar.gz", "lab"),
    "runplugin": ("runplugin", "ipclusterrestart", "lab"),
    "addnode": ("addnode", "--yes", "lab"),
    "share": ("share", "lab", "{work}/other.pub"),
    "tunnel": ("tunnel", "lab"),
    "notebook": ("notebook", "lab"),
    "removenode": ("removenode", "--yes", "-a", "node001", "lab"),
    "stop": ("stop", "--yes", "lab"),
    "terminate": ("terminate", "--yes", "lab"),
}
PASSED_ON = {"exec", "exec in JSON", "status in JSON"}
"""What they print is the command's own, exactly; see tests/unit/cli/nodes/test_streams.py for terminals."""
ENDLESS = {"endless", "endless line", "endless errors"}


@pytest.fixture(scope="module")
def secret_words():
    return {"AWS_SECRET_ACCESS_KEY": "hunter2-of-the-cloud", "SECRET_OF_MINE": "hunter3-of-mine"}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory, secret_words):
    """The host, the laptop whose config names it, and its work folder."""
    base = tmp_path_factory.mktemp("hostile")
    key, public = new_key_pair("me")
    host_key, host_public = new_key_pair("host")
    (base / "key").write_text(key.reveal())
    (base / "key").chmod(0o600)
    work = base / "work"
    work.mkdir()
    (work / "mine").write_text("what is put")
    (work / "other.pub").write_text(new_key_pair("other")[1])
    with hostile_host(host_key.reveal(), public) as host:
        sections = "".join(
            f"[host h{number}]\nADDRESS = 127.0.0.{number}\nPORT = {host.port}\nUSER = root\n"
            f"KEY_LOCATION = {base}/key\nHOST_KEY = {' '.join(host_public.split()[:2])}\n"
            for number in (1,)
        )
        (base / "config").write_text(
            "[cluster rack]\nPROVIDER = static\nCLUSTER_USER = ada\nHOSTS = h1\nSTART_TIMEOUT = 15\n"
            f"PLUGINS = ipcluster\n[global]\nDEFAULT_TEMPLATE = rack\n{sections}"
        )
        more = {"CLUSTERCTL_CONFIG": str(base / "config"), "HOME": str(base), "SSH_AUTH_SOCK": "", **secret_words}
        laptop = Laptop(base / "home", more=more)
        yield host, laptop, work
        laptop.terminate_all()


def files_below(folder):
    return {str(path) for path in folder.rglob("*")}


def assert_harmless(said, command, host, secret_words):
    text = said.stdout + said.stderr
    assert "\x1b" not in text or command in PASSED_ON, (command, text[-500:])
    assert "\x9b" not in text or command in PASSED_ON, (command, text[-500:])
    if said.returncode and command not in PASSED_ON | {"doctor", "status"}:
        assert "try: " in text or "WARNING" in text, (command, text[-500:])
    sent = b"\n".join(host.asked)
    for word in secret_words.values():
        assert word.encode() not in sent, command


def begin(host, laptop, says):
    """A cluster whose host means ill after it has told its facts, as one that was taken over later does."""
    host.asked.clear()
    host.says, host.polite = says, 1
    return laptop.run("start", "lab", status=None, timeout=LIMIT_S)


@pytest.mark.seeds(1)
@pytest.mark.parametrize("says", [*SHAPES, *STREAMS])
def test_every_command_ends_and_writes_nothing_where_it_should_not(hostile, secret_words, says, sample):
    host, laptop, work = hostile
    around = files_below(work.parent) - files_below(laptop.home)
    assert_harmless(begin(host, laptop, says), "start", host, secret_words)
    chosen = [*sample.of([*COMMANDS][:-1], 3), "terminate"]
    for command, words in ((command, COMMANDS[command]) for command in chosen):
        if says in ENDLESS and command in {"exec", "exec in JSON"}:
            continue  # without an end it is passed on without an end
        said = laptop.run(*(word.format(work=work) for word in words), status=None, timeout=LIMIT_S)
        assert_harmless(said, command, host, secret_words)
    assert not laptop.folder("lab").exists()
    new = files_below(work.parent) - files_below(laptop.home) - around
    allowed = (
        f"{work}/report.tar.gz",
        f"{work}/got",
        str(laptop.home),
        f"{work.parent}/.cache",
        f"{work.parent}/.local",
    )
    assert not [path for path in new if not path.startswith(allowed)]
    for path in work.glob("got*"):
        assert path.is_file() or not list(path.iterdir())


def test_no_private_key_is_sent_to_a_host(hostile):
    """All that the host was sent in all these commands, of which the last was a start."""
    host, laptop, work = hostile
    begin(host, laptop, "nothing")
    sent = b"\n".join(host.asked)
    assert len(host.asked) > 1
    for file in (work.parent / "key", laptop.folder("lab") / "id_ed25519"):
        assert file.read_bytes().splitlines()[2] not in sent
