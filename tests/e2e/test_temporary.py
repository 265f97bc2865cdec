"""`with clusterctl.cluster(...)`: a script has a cluster for as long as it needs one."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]

SCRIPT = """
import asyncio, signal, sys, time
import clusterctl
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started this may have it ignored

def work(how):
    with clusterctl.cluster("mine", size=2, keep=how == "keep") as client:
        print("squares", client.map(pow, [1, 2, 3], [2, 2, 2]), len(client), flush=True)
        with clusterctl.cluster("mine") as same:
            print("same", len(same), flush=True)
        if how == "fail":
            raise RuntimeError("mine")
        if how == "wait":
            time.sleep(600)
async def main(how):
    work(how)

if sys.argv[1] == "wait":  # under an event loop the first Ctrl-C waits for it
    work("wait")
else:
    asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture
def script(new_laptop, tmp_path):
    laptop = new_laptop()
    laptop.home.mkdir()
    (laptop.home / "config").write_text("[cluster c]\nPLUGINS = ipcluster\n[plugin ipcluster]\nENGINES_PER_NODE = 1\n")
    file = tmp_path / "work.py"
    file.write_text(SCRIPT)

    def begin(how):
        command = [sys.executable, "-W", "ignore", file, how]
        return subprocess.Popen(
            command, env=laptop.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )

    return laptop, begin


def test_it_ends_with_the_block_and_with_an_exception_of_it_and_stays_if_it_shall(script):
    laptop, begin = script
    for how, error in (("fail", "RuntimeError: mine"), ("keep", "")):
        said, trouble = begin(how).communicate(timeout=120)
        assert ">>> Starting 2 nodes of mine (local): master, node001\n" in said
        assert "squares [1, 4, 9] 2\nsame 2\n" in said
        assert error in trouble
        assert [one["name"] for one in laptop.json("list", "--json")] == (["mine"] if how == "keep" else [])
    said, _ = begin("plain").communicate(timeout=120)
    assert "Starting" not in said
    assert laptop.json("list", "--json")[0]["state"] == "running"


def test_ctrl_c_ends_it(script):
    laptop, begin = script
    process = begin("wait")
    for line in process.stdout:
        if line.startswith("same"):
            break
    process.send_signal(signal.SIGINT)
    said, trouble = process.communicate(timeout=120)
    assert ">>> Terminating mine\n" in said
    assert "KeyboardInterrupt" in trouble
    assert laptop.json("list", "--json") == []
