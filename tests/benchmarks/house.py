"""How the sources are built: the size of rooms, modules and functions, their names, and what imports what.

Run it for some commits, to see them side by side: ``python tests/benchmarks/house.py 783075d HEAD``.
Without arguments it measures the files as they are now.
"""

from __future__ import annotations

import ast
import configparser
import io
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
LOOKING = ("found", "each", "there")
"""Names of locals that tell the act of looking and not the thing."""
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Sources:
    """The parsed modules of clusterctl and of its plugins."""

    def __init__(self, root: Path) -> None:
        self.root = root
        paths = [path for top in ("clusterctl", "plugins") for path in sorted((root / top).rglob("*.py"))]
        self.trees = {path.relative_to(root): ast.parse(path.read_text(encoding="utf-8")) for path in paths}
        self.modules = {self.module_of(path): path for path in self.trees}

    @staticmethod
    def module_of(path: Path) -> str:
        parts = path.with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for tree in self.trees.values():
            yield from (node for node in ast.walk(tree) if isinstance(node, FUNCTIONS))

    def imports_of(self, tree: ast.AST) -> Iterator[str]:
        """The modules of ours that statements anywhere below import."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "clusterctl")
            elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "clusterctl":
                for alias in node.names:
                    full = f"{node.module}.{alias.name}"
                    yield full if full in self.modules else str(node.module)


def room_of(module: str) -> str:
    """The first name below `clusterctl`: a folder, or a single file."""
    return module.split(".")[1] if "." in module else module


def count_files(sources: Sources) -> Counter[str]:
    return Counter(str(path.parent) for path in sources.trees if path.parts[0] == "clusterctl")


def count_arrows(sources: Sources) -> int:
    pairs = {
        (room_of(sources.module_of(path)), room_of(module))
        for path, tree in sources.trees.items()
        if path.parts[0] == "clusterctl"
        for module in sources.imports_of(tree)
    }
    return sum(importer != imported for importer, imported in pairs)


def count_layers(root: Path) -> int:
    rules = configparser.ConfigParser()
    rules.read(root / ".importlinter", encoding="utf-8")
    return len(rules["importlinter:contract:layers"]["layers"].strip().splitlines())


def count_late_imports(sources: Sources) -> int:
    """Import statements of our own modules that stand inside functions."""
    late = {
        (str(path), node.lineno)
        for path, tree in sources.trees.items()
        for function in ast.walk(tree)
        if isinstance(function, FUNCTIONS)
        for node in ast.walk(function)
        if isinstance(node, (ast.Import, ast.ImportFrom)) and any(sources.imports_of(node))
    }
    return len(late)


def count_locals(sources: Sources) -> int:
    """Places at which a local or an argument is named after the act of looking."""
    nodes = [node for tree in sources.trees.values() for node in ast.walk(tree)]
    names = [node.id for node in nodes if isinstance(node, ast.Name)]
    return sum(name in LOOKING for name in [*names, *(node.arg for node in nodes if isinstance(node, ast.arg))])


def share_of_one_word(sources: Sources) -> float:
    """Per cent of the functions whose names are one word; special methods have no choice and do not count."""
    names = [function.name for function in sources.functions() if not function.name.startswith("__")]
    return 100 * sum("_" not in name.strip("_") for name in names) / len(names)


def percentile(values: list[int], share: float) -> int:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def measure(root: Path) -> dict[str, str]:
    """Every figure of one tree, by its name."""
    sources = Sources(root)
    files = count_files(sources)
    fullest, most = files.most_common(1)[0]
    modules = [len((root / path).read_text(encoding="utf-8").splitlines()) for path in sources.trees]
    lengths = [function.end_lineno - function.lineno + 1 for function in sources.functions() if function.end_lineno]
    templates = (root / "templates").glob("*.py.j2")
    tests = [len(path.read_text(encoding="utf-8").splitlines()) for path in (root / "tests").rglob("test_*.py")]
    return {
        "files at the top of clusterctl": str(files["clusterctl"]),
        "files in the fullest folder": f"{most} ({fullest})",
        "layers": str(count_layers(root)),
        "arrows between rooms": str(count_arrows(sources)),
        "functions named with one word, %": f"{share_of_one_word(sources):.0f}",
        "own modules imported inside functions": str(count_late_imports(sources)),
        f"locals named {', '.join(LOOKING)}": str(count_locals(sources)),
        "module lines, median / most": f"{statistics.median(modules):.0f} / {max(modules)}",
        "function lines, 95th in 100 / most": f"{percentile(lengths, 0.95)} / {max(lengths)}",
        "lines of Python in templates": str(sum(len(path.read_text().splitlines()) for path in templates)),
        "lines of the longest test file": str(max(tests)),
    }


def unpack(revision: str, folder: Path) -> Path:
    """The files of a commit."""
    packed = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def main() -> None:
    """Print a table: a figure a line, a commit a column."""
    columns = {}
    if not sys.argv[1:]:
        columns["now"] = measure(ROOT)
    for revision in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            columns[revision] = measure(unpack(revision, Path(folder)))
    width = max(len(name) for figures in columns.values() for name in figures)
    print(" " * width, *(f"{revision:>22}" for revision in columns))
    for name in next(iter(columns.values())):
        print(f"{name:<{width}}", *(f"{figures[name]:>22}" for figures in columns.values()))


if __name__ == "__main__":
    main()
