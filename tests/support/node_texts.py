"""What is in the text of a program for a node."""

from __future__ import annotations

import ast
import base64
import re
import zlib


def sent_text(program: str) -> str:
    """What is packed in it."""
    return zlib.decompress(base64.b64decode(re.search(r'"""(.*?)"""', program, re.DOTALL)[1])).decode()


def sent_modules(program: str) -> dict[str, str]:
    """The sources that come with it, by the modules' names."""
    return ast.literal_eval(re.search(r"^program = load\((\{.*\}), '", sent_text(program), re.MULTILINE)[1])
