"""Install clusterctl from this folder, and run a command of it: ``python3 install.py clusterctl start -s 3 mycluster``.

Needs Python 3.10 or newer and an index of packages, and nothing else: no pip, no venv package, no rights. Debian and
Ubuntu refuse pip outside a virtual environment, and leave out what makes one; this makes one all the same, in `.venv`
beside this file. Inside a virtual environment it installs there. uv does the work, with the index, the certificates and
the other settings that pip has here; where uv fails, pip does.

    python3 install.py                      only install
    python3 install.py clusterctl ARGS      install, then run clusterctl
    python3 install.py pytest ARGS          install with what the tests need, then run them

Tools for work on clusterctl itself come in the versions of `constraints.txt`. Without them nothing is pinned: your
environment is yours.
"""

from __future__ import annotations

import configparser
import hashlib
import html.parser
import os
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
import venv
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CONSTRAINTS = HERE / "constraints.txt"
WINDOWS = os.name == "nt"
BIN, PYTHON, PROGRAM = ("Scripts", "python.exe", "clusterctl.exe") if WINDOWS else ("bin", "python", "clusterctl")
QUIET = ["--quiet", "--disable-pip-version-check"]
SILENT: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": False}
EXTRAS = {"pytest": "[test]", "mkdocs": "[docs]"}
EXTRAS |= dict.fromkeys(("ruff", "mypy", "lint-imports", "pre-commit", "towncrier"), "[lint]")


def environment() -> Path:
    """The virtual environment to install into: the one we are in, else `.venv` beside this file."""
    if sys.prefix != sys.base_prefix:
        return Path(sys.prefix)
    folder = HERE / ".venv"
    if not (folder / BIN / PYTHON).exists():
        say(f"Making a virtual environment in {folder}")
        # Without pip: Debian's Python has no ensurepip unless another package is installed.
        venv.create(folder, with_pip=False, symlinks=not WINDOWS)
    return folder


def install(folder: Path, extra: str) -> None:
    """Install this folder's project, editable, unless the same was installed before."""
    stamp = folder / f"clusterctl-installed{extra}"
    inputs = [HERE / "pyproject.toml", CONSTRAINTS] if extra else [HERE / "pyproject.toml"]
    state = hashlib.sha256(b"".join(path.read_bytes() for path in inputs) + str(HERE).encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == state and (folder / BIN / PROGRAM).exists():
        return
    say(f"Installing clusterctl{extra} into {folder}")
    python = str(folder / BIN / PYTHON)
    pins = ["-c", str(CONSTRAINTS)] if extra else []
    with tempfile.TemporaryDirectory() as scratch:
        pip = find_pip(python, Path(scratch))
        # setuptools warns of what an editable install is; whoever runs this did not ask.
        quiet = {**os.environ, "PYTHONWARNINGS": "ignore"}
        project = ["pip", "-e", f"{HERE}{extra}"]
        if not install_by_uv(python, pip, [*pins, *project], quiet):
            result = subprocess.run([*pip, "install", *QUIET, *pins, *project], env=quiet, check=False)
            if result.returncode:
                sys.exit(
                    "error: the installation failed, see above\n"
                    "try: check that the package index can be reached, then again"
                )
    stamp.write_text(state)


def install_by_uv(python: str, pip: list[str], wanted: list[str], environment: dict[str, str]) -> bool:
    """Install by uv, which takes a fourth of pip's time. False if that does not work here: pip then tells why."""
    pins = wanted[: wanted.index("pip")]
    got = subprocess.run([*pip, "install", *QUIET, "--only-binary", ":all:", *pins, "uv"], **SILENT)
    if got.returncode:
        return False
    settings = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=False).stdout
    command = [python, "-m", "uv", "pip", "install", "--quiet", "--python", python]
    if sys.dont_write_bytecode:  # else each Python keeps what it compiles, and most of it is never needed
        command.append("--compile-bytecode")
    command += wanted
    return subprocess.run(command, env=uv_settings(settings) | environment, **SILENT).returncode == 0


def uv_settings(pip_settings: str) -> dict[str, str]:
    """What uv calls pip's settings, as `pip config list` prints them."""
    names = {
        "index-url": "UV_DEFAULT_INDEX",
        "extra-index-url": "UV_INDEX",
        "find-links": "UV_FIND_LINKS",
        "constraint": "UV_CONSTRAINT",
        "cert": "SSL_CERT_FILE",
    }
    # pip takes the best version of all indexes; uv takes the first index that has the name, unless it is told.
    found = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    for line in pip_settings.splitlines():
        key, _, value = line.partition("=")
        name = names.get(key.rpartition(".")[2])
        if name:
            found[name] = value.strip("'\"").replace("\\n", " ").strip()
    return found


def find_pip(python: str, scratch: Path) -> list[str]:
    """Return the command of pip: the environment's own, else a wheel of it, which runs without being installed."""
    if subprocess.run([python, "-c", "import pip"], capture_output=True, check=False).returncode == 0:
        return [python, "-m", "pip"]
    return [python, f"{download_pip(scratch)}/pip"]


def download_pip(folder: Path) -> Path:
    """Fetch the newest wheel of pip from the index that pip itself would use."""
    page = f"{index().rstrip('/')}/pip/"
    try:
        request = urllib.request.Request(page, headers={"Accept": "text/html"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            links = Links(answer.read().decode())
        address = max((link for link in links.found if release(link)), key=release)
        address, _, digest = urllib.parse.urljoin(page, address).partition("#sha256=")
        target = folder / address.rpartition("/")[2]
        with urllib.request.urlopen(address, timeout=60) as answer:
            target.write_bytes(answer.read())
    except (OSError, ValueError) as exc:
        sys.exit(f"error: cannot get pip from {page}: {exc}\ntry: check the network, or set PIP_INDEX_URL")
    if digest and hashlib.sha256(target.read_bytes()).hexdigest() != digest:
        sys.exit("error: the download of pip was damaged\ntry: run this again")
    return target


class Links(html.parser.HTMLParser):
    """The addresses on a page of the index, but for releases that were taken back."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the address of a link."""
        link = dict(attrs)
        if tag == "a" and link.get("href") and "data-yanked" not in link:
            self.found.append(str(link["href"]))


def index() -> str:
    """The package index of pip's settings."""
    if os.environ.get("PIP_INDEX_URL"):
        return os.environ["PIP_INDEX_URL"]
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(["/etc/pip.conf", Path("~/.pip/pip.conf").expanduser(), Path("~/.config/pip/pip.conf").expanduser()])
    return parser.get("global", "index-url", fallback="https://pypi.org/simple")


def release(link: str) -> tuple[int, ...]:
    """The release that a link's wheel holds, as numbers; empty if it is no wheel, or one for tests."""
    name = link.partition("#")[0].rpartition("/")[2]
    parts = name.split("-")[1].split(".") if name.endswith("-py3-none-any.whl") else []
    return tuple(int(part) for part in parts) if parts and all(part.isdecimal() for part in parts) else ()


def activation(folder: Path) -> str:
    """The line that brings the environment's programs to hand."""
    return str(folder / BIN / "Activate.ps1") if WINDOWS else f"source {folder}/bin/activate"


def say(text: str) -> None:
    """Tell what takes time."""
    print(f">>> {text}", flush=True)


def main() -> None:
    """Install, then become the command."""
    if sys.version_info < (3, 10):  # noqa: UP036  this file is what an older Python is started with
        sys.exit(f"error: Python 3.10 or newer is needed, not {sys.version.split()[0]}\ntry: python3.12 install.py")
    command = sys.argv[1:]
    folder = environment()
    install(folder, EXTRAS.get(command[0], "") if command else "")
    if not command:
        say(f"Done. To have `clusterctl` at hand: {activation(folder)}")
        return
    os.environ["PATH"] = f"{folder / BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    sys.stdout.flush()
    try:
        if WINDOWS:  # where a process cannot become another one
            sys.exit(subprocess.run(command, check=False).returncode)
        os.execvp(command[0], command)
    except FileNotFoundError:
        sys.exit(
            f"error: there is no command {command[0]} in {folder / BIN}\ntry: python3 install.py clusterctl --help"
        )


if __name__ == "__main__":
    main()
