"""The notebooks of docs/examples, run by nbclient as somebody's Jupyter would."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def execute(laptop, name, folder):
    """Run a notebook in a folder of its own; what each cell of code has shown, as text."""
    words = ["import nbclient.cli; nbclient.cli.main()", f"--output={folder / name}", "--timeout=60"]
    (folder / "kernel.ipynb").write_text((EXAMPLES / f"{name}.ipynb").read_text())
    command = [sys.executable, "-c", *words, str(folder / "kernel.ipynb")]
    done = subprocess.run(command, env=laptop.env, cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    cells = json.loads((folder / f"{name}.ipynb").read_text())["cells"]
    return ["".join(map(_text, cell["outputs"])) for cell in cells if cell["cell_type"] == "code"]


def _text(output):
    return "".join(output["text"] if "text" in output else output["data"]["text/plain"])
