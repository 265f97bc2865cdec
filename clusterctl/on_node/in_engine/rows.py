"""Arrays of rows that a task takes the first of, and then the rest.

The text of this module is sent before that of `objects.py`, and all run as one program.
"""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def rows_class() -> Any:
    """Return the class of arrays whose rows from one to another, asked for by their numbers, are not copied."""
    import numpy as np

    class Rows(np.ndarray):
        def __getitem__(self, key: Any) -> Any:
            plain = self.view(np.ndarray)
            numbers = key[0] if isinstance(key, tuple) and len(key) == 2 and key[1] is Ellipsis else key
            if isinstance(numbers, np.ndarray) and numbers.ndim == 1 and numbers.dtype.kind == "i" and len(numbers):
                first, last = int(numbers[0]), int(numbers[-1])
                if first >= 0 and last - first == len(numbers) - 1 and (np.diff(numbers) == 1).all():
                    return plain[first : last + 1]
            return plain[key]

    return Rows
