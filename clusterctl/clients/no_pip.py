"""What `python -m pip`, `pip` and `%pip` are on a node whose packages do not have it: how packages are added there."""

from __future__ import annotations

import sys

from clusterctl.clients.here import find_here


def main() -> None:
    """Say what to type on the user's own computer, with the packages that were asked for."""
    words = sys.argv[1:]
    packages = [word for word in words[1:] if not word.startswith("-")] if words[:1] == ["install"] else []
    here = find_here()
    command = f"clusterctl install {here.cluster if here else 'NAME'} {' '.join(packages) or 'PACKAGE'}"
    sys.exit(f"All nodes of a cluster have the same packages. To add one, type on your own computer: {command}")


if __name__ == "__main__":
    main()
