"""What people type on a cluster all day finds the cluster's Python, and says where one is."""

from __future__ import annotations

import os
import pty
import select

import pytest

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("words", [("sshmaster",), ("sshnode", 2), ("exec",)], ids=lambda words: words[0])
def test_python_and_the_programs_of_packages_are_the_clusters(laptop, cluster, words):
    command, *node = map(str, words)
    said = laptop.run(
        command, cluster.name, *node, "python -c 'import ipyparallel, sys; print(sys.prefix)'; which ipengine"
    )
    lines = [line.removeprefix("master: ") for line in said.stdout.splitlines() if not line.startswith("node")]
    env = laptop.home / "local" / cluster.name / ("node002" if node else "master") / "env"
    assert lines == [str(env), str(env / "bin" / "ipengine")]


@pytest.mark.parametrize("pip", ["pip", "pip3", "python -m pip"])
def test_pip_says_how_packages_are_added(laptop, cluster, pip):
    said = laptop.run("sshmaster", cluster.name, f"{pip} install -q humanize", status=1)
    assert said.stderr.rstrip().endswith("type on your own computer: clusterctl install mycluster humanize")


def test_the_prompt_says_where_one_is(laptop, cluster):
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(laptop.command[0], [*laptop.command, "sshnode", cluster.name, "1"], laptop.env)
    seen, typed = b"", b"command -v python; exit\n"
    while select.select([terminal], [], [], 30)[0]:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # its last process has ended
            break
        seen += part
        if b"(mycluster node001) " in seen and typed:
            os.write(terminal, typed)
            typed = b""
    os.close(terminal)
    os.waitpid(pid, 0)
    assert b"/node001/env/bin/python" in seen, seen
