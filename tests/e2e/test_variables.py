"""Environment variables of a template: engines and logins have them, and another value starts engines anew."""

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

CODE = """
import clusterctl
client = clusterctl.connect("lab", wait=True)
def look():
    import os
    return os.getpid(), os.environ.get("TITLE"), os.environ.get("OTHER")
print(__import__("json").dumps(client[:].apply_sync(look)))
client.close()
"""


def test_engines_and_logins_have_them_and_what_is_left_out_goes(new_laptop):
    laptop = new_laptop()
    laptop.home.mkdir()
    config = laptop.home / "config"

    def start(variables, *more):
        config.write_text(
            f"[cluster c]\nCLUSTER_SIZE = 2\nPLUGINS = ipcluster\nVARIABLES = {variables}\n"
            "[plugin ipcluster]\nENGINES_PER_NODE = 1\n"
        )
        laptop.run("start", *more, "lab")
        return json.loads(laptop.python(CODE))

    def login(alias):
        return laptop.run("sshnode", "lab", alias, 'printf "%s|" "$TITLE" "$OTHER"').stdout

    first = start('TITLE="a, b and it\'s $c" OTHER=1')
    assert [values for _, *values in first] == [["a, b and it's $c", "1"]] * 2
    assert login("master") == login("node001") == "a, b and it's $c|1|"
    assert [pid for pid, *_ in start('TITLE="a, b and it\'s $c" OTHER=1')] == [pid for pid, *_ in first]
    second = start("OTHER=2", "--yes")
    assert [values for _, *values in second] == [[None, "2"]] * 2
    assert not {pid for pid, *_ in first} & {pid for pid, *_ in second}
    assert login("node001") == "|2|"
