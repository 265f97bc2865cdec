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
