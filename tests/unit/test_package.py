"""What `import clusterctl` gives."""

from __future__ import annotations

from pathlib import Path

import clusterctl


def test_no_module_takes_the_name_of_a_function():
    """To import `clusterctl.NAME` sets it on the package, over a function of that name."""
    folder = Path(clusterctl.__file__).parent
    modules = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert not modules & set(clusterctl.__all__)
