"""Makes `client`, `view` and the %px magics in every notebook of this cluster. IPython runs it as it is."""

try:
    import ipyparallel

    client = ipyparallel.Client(profile="cluster", timeout=10)
    client.activate()
    view = client[:]
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
