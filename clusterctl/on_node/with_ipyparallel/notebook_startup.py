"""Makes `c`, `client`, `view`, `lview` and %px in every notebook of this cluster. IPython runs it as it is."""


def _find_own_files() -> None:
    """Let a notebook find what tasks find: modules in the home, wherever notebooks lie, and the cluster's programs."""
    import os
    import sys
    from pathlib import Path

    home = str(Path.home())
    if home not in sys.path:
        sys.path.insert(1, home)  # behind the folder of the notebook
    folders = [str(Path(sys.executable).parent)]
    folders += [str(Path(entry) / "bin") for entry in sys.path if (Path(entry) / "clusterctl-here.json").is_file()]
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join([*(folder for folder in folders if folder not in path), *path])


_find_own_files()
del _find_own_files
try:
    # The node's copy, which is the part of it that a client needs.
    c = client = __import__("clusterctl").connect(timeout=10)
    client.activate()
    view = client[:]
    lview = client.load_balanced_view()
except Exception as exc:  # noqa: BLE001  a notebook without engines is one too
    print(f"No engines to talk to yet ({exc}). Restart the kernel to try again.")


def _warn_of_end(*_about: object) -> None:
    """Say before a cell what the master says of the cluster's end, once each time that it says something else."""
    from pathlib import Path

    try:
        file = Path.home() / ".clusterctl" / "ending" / "warning"
        text = file.read_text(encoding="utf-8", errors="replace")[:300]
    except OSError:
        text = ""
    if text and text not in _said_of_end:
        print(f"*** {text}")
    _said_of_end[:] = [text]


_said_of_end: list[str] = []
if "get_ipython" in globals():
    get_ipython().events.register("pre_run_cell", _warn_of_end)  # type: ignore[name-defined]  # noqa: F821  IPython's
