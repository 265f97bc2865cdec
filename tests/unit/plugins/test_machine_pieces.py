"""The pieces of shell that machine scripts are made of, run in a folder: what they change, say and keep."""

from __future__ import annotations

import subprocess

import pytest

from clusterctl.node.render import render_text

PIECES = 'set -eu\n{% include "machine.sh" %}\nblock_name=lab\n'
BLOCK = "# clusterctl lab names begin\n10.0.0.1 master\n# clusterctl lab names end\n"


@pytest.fixture
def sh(tmp_path, allow_subprocess):
    """What a script says, in a folder of its own."""

    def sh(script):
        text = render_text(PIECES) + script
        done = subprocess.run(["sh", "-s"], input=text, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert not list(tmp_path.glob("*.clusterctl-new"))
        return done.stdout

    return sh


class TestPutFile:
    def test_it_says_what_it_changed_and_nothing_where_nothing_differs(self, sh, tmp_path):
        put = "printf 'a  b\\n\\\\n$x\\n' | put_file \"$PWD/folder/one\" 640\n"
        assert sh(put) == f"changed: {tmp_path}/folder/one\n"
        assert (tmp_path / "folder" / "one").read_text() == "a  b\n\\n$x\n"
        before = (tmp_path / "folder" / "one").stat()
        assert sh(put) == ""
        assert (tmp_path / "folder" / "one").stat() == before

    @pytest.mark.parametrize("change", ["echo other > one", "chmod 600 one", "rm one"])
    def test_what_differs_is_put_right(self, sh, tmp_path, change):
        sh('echo text | put_file "$PWD/one" 644\n')
        assert sh(f'{change}\necho text | put_file "$PWD/one" 644\n') == f"changed: {tmp_path}/one\n"
        assert ((tmp_path / "one").read_text(), (tmp_path / "one").stat().st_mode & 0o777) == ("text\n", 0o644)

    def test_a_secret_is_at_no_time_readable_for_others(self, sh, tmp_path):
        sh('chmod() { stat -c %a "$2" > seen; command chmod "$@"; }\numask 022\necho text | put_file "$PWD/one" 600\n')
        assert (tmp_path / "seen").read_text() == "600\n"


class TestPutBlock:
    PUT = 'echo "10.0.0.1 master" | put_block "$PWD/hosts" names\n'

    def test_it_goes_to_the_top_and_the_rest_stays_byte_by_byte(self, sh, tmp_path):
        (tmp_path / "hosts").write_text("127.0.0.1 localhost\n\n# no line end")
        assert sh(self.PUT) == f"changed: {tmp_path}/hosts\n"
        assert (tmp_path / "hosts").read_text() == BLOCK + "127.0.0.1 localhost\n\n# no line end"
        assert sh(self.PUT) == ""

    def test_a_file_that_is_not_there_is_made(self, sh, tmp_path):
        sh(self.PUT)
        assert (tmp_path / "hosts").read_text() == BLOCK
        assert sh(self.PUT) == ""

    @pytest.mark.parametrize(
        "text",
        [
            BLOCK.replace("10.0.0.1", "10.0.0.2") + "rest\n",
            BLOCK.replace("master", "master2") + "rest\n",
            "rest\n" + BLOCK,
            BLOCK + "rest\n" + BLOCK,
        ],
    )
    def test_another_block_one_at_another_place_and_a_second_one_are_put_right(self, sh, tmp_path, text):
        (tmp_path / "hosts").write_text(text)
        assert sh(self.PUT) == f"changed: {tmp_path}/hosts\n"
        assert (tmp_path / "hosts").read_text() == BLOCK + "rest\n"

    def test_what_was_put_can_be_dropped(self, sh, tmp_path):
        (tmp_path / "hosts").write_text("rest\n")
        sh(self.PUT)
        assert sh('drop_block "$PWD/hosts" names\n') == f"changed: {tmp_path}/hosts\n"
        assert (tmp_path / "hosts").read_text() == "rest\n"
        assert sh('drop_block "$PWD/hosts" names\n') == ""


class TestMade:
    def test_what_was_made_is_remembered_once_and_known_again(self, sh, tmp_path):
        sh('made_in="$PWD/state"\nmade "user me"\nmade "user me"\n')
        assert (tmp_path / "state" / "made").read_text() == "user me\n"
        assert sh('made_in="$PWD/state"\nwas_made "user me" && echo yes\nwas_made "user m" || echo no\n') == "yes\nno\n"


class TestFormat:
    """What a machine is set up in, at the place that the pieces know, moved to where a test may write."""

    @pytest.fixture
    def claim(self, tmp_path, allow_subprocess):
        def claim(call="claim mark yes"):
            text = (render_text(PIECES) + call + "\necho done\n").replace("/var/lib/clusterctl", str(tmp_path))
            return subprocess.run(["sh", "-s"], input=text, capture_output=True, text=True)

        return claim

    @pytest.mark.parametrize("text", ["", "1 0.2.0\n", "0 0.1.0\n"])
    def test_one_of_this_version_or_an_older_one_is_taken(self, claim, tmp_path, text):
        (tmp_path / "format").write_text(text)
        assert claim().stdout == "done\n"

    def test_one_without_a_number_is_taken(self, claim):
        assert claim().stdout == claim("unless_others mark").stdout == "done\n"

    @pytest.mark.parametrize("call", ["claim mark yes", "claim mark no", "unless_others mark"])
    def test_one_of_a_newer_version_is_refused_with_what_to_install(self, claim, tmp_path, call):
        (tmp_path / "format").write_text("2 0.9.1\n")
        done = claim(call)
        assert (done.returncode, done.stdout) == (65, "")
        assert done.stderr == (
            "error: clusterctl 0.9.1 has set this machine up in format 2, and this one knows 1 at most\n"
            "try: install what did it, or a newer one: pip install 'clusterctl>=0.9.1'\n"
        )


@pytest.mark.parametrize("call", ["echo x | put_block hosts names", "drop_block hosts names", "made x", "was_made x"])
def test_what_a_piece_needs_and_was_not_told_ends_the_script(call, tmp_path, allow_subprocess):
    (tmp_path / "hosts").write_text("x\n")
    script = render_text('set -eu\n{% include "machine.sh" %}\n') + call
    done = subprocess.run(["sh", "-s"], input=script, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0
    assert "block_name" in done.stderr or "made_in" in done.stderr
    assert (tmp_path / "hosts").read_text() == "x\n"
