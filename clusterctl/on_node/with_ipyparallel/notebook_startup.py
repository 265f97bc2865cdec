"""Makes `client`, `view` and the %px magics in every notebook of this cluster. IPython runs it as it is."""

try:
    import ipyparallel

    client = ipyparallel.Client(profile="cluster", timeout=10)
    client.activate()
    view = client[:]
except Exception as exc:  # noqa: BLE001  a notebook without engines is one too
    print(f"No engines to talk to yet ({exc}). Restart the kernel to try again.")
