"""What another user of the computer can do to somebody: run as that user, by any Python. Answers with JSON.

spy.py walk SECONDS UID      what was made or changed since then by this user, and may be read, written or called
spy.py processes UID         all that /proc tells of this user's processes
spy.py call ADDRESS:PORT..   what servers say to whoever has no key
spy.py listen ADDRESS:PORT.. take these ports, and note what is sent there, until the input ends
spy.py squat KIND PATH..     take these names
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import sys
import threading
from pathlib import Path

_SKIPPED = ("/proc", "/sys", "/dev")
_GREETING = b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + bytes(48)
"""How a ZeroMQ client without a key begins."""


def walk(since: str, uid: str) -> list[dict[str, object]]:
    seen = []
    for top in ("/", "/dev/shm"):
        for root, folders, files in os.walk(top):
            if top == "/":
                folders[:] = [name for name in folders if f"{root}{name}" not in _SKIPPED]
            for name in [*folders, *files]:
                entry = look(f"{root}/{name}", float(since), int(uid))
                if entry:
                    seen.append(entry)
    return seen


def look(path: str, since: float, uid: int) -> dict[str, object] | None:
    with contextlib.suppress(OSError):
        status = os.lstat(path)
        if status.st_uid != uid or status.st_ctime < since or stat.S_ISLNK(status.st_mode):
            return None
        kind = stat.S_IFMT(status.st_mode)
        can = ""
        if stat.S_ISSOCK(kind):
            can = "call" if calls(path) else ""
        else:
            can = ("read " if os.access(path, os.R_OK) else "") + ("write" if os.access(path, os.W_OK) else "")
        text = ""
        if stat.S_ISREG(kind) and "read" in can:
            text = Path(path).read_bytes().decode("latin-1")
        return {"path": path, "kind": oct(kind), "can": can.strip(), "text": text} if can else None
    return None


def calls(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(5)
        try:
            line.connect(path)
        except OSError:
            return False
    return True


def processes(uid: str) -> dict[str, str]:
    told = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_uid != int(uid) and f"\nUid:\t{uid}\t" not in (folder / "status").read_text():
                continue
        for name in ("cmdline", "environ", "maps", "cwd", "exe", "fd", "comm", "status"):
            with contextlib.suppress(OSError):
                path = folder / name
                if name == "fd":
                    text = " ".join(str(link.readlink()) for link in path.iterdir())
                else:
                    text = str(path.readlink()) if path.is_symlink() else path.read_bytes().decode("latin-1")
                told[f"{folder.name} {name}"] = text
    return told


def call(*places: str) -> dict[str, str]:
    said = {}
    for place in places:
        address, _, port = place.rpartition(":")
        for word, question in (("http", b"GET /api/contents HTTP/1.0\r\n\r\n"), ("zmq", _GREETING), ("nothing", b"")):
            answer = b""
            with contextlib.suppress(OSError), socket.create_connection((address, int(port)), 5) as line:
                line.settimeout(1)
                line.sendall(question)
                while part := line.recv(65536):
                    answer += part
            said[f"{place} {word}"] = answer.decode("latin-1")
    return said


def listen(*places: str) -> list[str]:
    heard: list[str] = []
    taken = []
    for place in places:
        address, _, port = place.rpartition(":")
        server = socket.create_server((address, int(port)))
        taken.append(server)
        threading.Thread(target=serve, args=(server, place, heard), daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()
    return heard


def serve(server: socket.socket, place: str, heard: list[str]) -> None:
    while True:
        line, _ = server.accept()
        line.settimeout(1)
        with line, contextlib.suppress(OSError):
            heard.append(f"{place} " + line.recv(65536).decode("latin-1"))
            line.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")


def squat(kind: str, *paths: str) -> list[str]:
    for path in map(Path, paths):
        if kind == "folder":
            path.mkdir()
            path.chmod(0o777)
        elif kind == "link":
            path.symlink_to(os.environ["HOME"])
        elif kind == "file":
            path.touch()
            path.chmod(0o666)
        else:
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(path))
    return list(paths)


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
