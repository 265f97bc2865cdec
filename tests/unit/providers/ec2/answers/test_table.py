"""The table of error codes: it is whole, it is the only one, and each row says what is done, and who says so."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from clusterctl.providers.ec2.answers.lookup import find_row
from clusterctl.providers.ec2.answers.rows import Kind, Road
from clusterctl.providers.ec2.answers.table import SOURCES, TABLE
from clusterctl.providers.ec2.aws import AwsError

ROOT = Path(__file__).parents[5]
CODES = {row.code for row in TABLE}
SHAPE = re.compile(r"[A-Z][A-Za-z0-9]+(\.[A-Z][A-Za-z]+)+")
"""How only error codes of EC2 are written."""
OURS = {"AWS.SSM.AppConfig"}


def texts_of(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def codes_of_the_standin():
    """What the stand-in itself refuses with."""
    for path in sorted((ROOT / "tests/standin").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("wire.AwsError") and node.args:
                code = node.args[0]
                if isinstance(code, ast.Constant):
                    yield code.value


def test_no_other_module_names_an_error_code():
    folder = ROOT / "clusterctl/providers/ec2"
    named = {
        (path.name, text)
        for path in folder.rglob("*.py")
        if path.name not in {"table.py", "reasons.py"}  # reasons are what instances ended of: no call is refused
        for text in texts_of(path)
        if text in CODES or SHAPE.fullmatch(text)
    }
    assert named == set()


def test_the_guard_would_see_one(tmp_path):
    path = tmp_path / "module.py"
    path.write_text('if exc.code == "InvalidGroup.Odd":\n    pass\n')
    assert any(SHAPE.fullmatch(text) for text in texts_of(path))


def test_whatever_the_standin_refuses_with_has_a_row():
    unknown = {code for code in codes_of_the_standin() if find_row(code).kind == Kind.UNKNOWN}
    assert unknown <= {"DryRunOperation"}


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.code} {row.about}".strip())
def test_each_row_has_a_remedy_and_a_public_source(row):
    assert row.remedy
    assert SOURCES[row.source].startswith("https://")


def test_every_source_is_named_by_a_row():
    assert SOURCES.keys() == {row.source for row in TABLE}


def test_no_row_is_hidden_by_one_before_it():
    for row in TABLE:
        operation = row.calls[0] if row.calls else ""
        code = row.code.replace("*", "SomethingOdd")
        assert find_row(code, operation=operation, message=row.about) is row, row


def test_only_capacity_price_and_the_spot_quota_lead_to_on_demand():
    rows = {row.code for row in TABLE if row.road == Road.ON_DEMAND}
    assert rows == {
        "InsufficientInstanceCapacity",
        "UnfulfillableCapacity",
        "SpotMaxPriceTooLow",
        "MaxSpotInstanceCountExceeded",
    }


def test_a_code_of_no_row_is_a_stop():
    row = find_row("NewlyInvented")
    assert (row.kind, row.road) == (Kind.UNKNOWN, Road.STOP)
    assert "support" in row.remedy


def test_families_take_what_has_no_row_of_its_own():
    assert find_row("InvalidOdd.NotFound").kind == Kind.ABSENT
    assert find_row("Unavailable").kind == Kind.BUSY  # AWS itself, not the thing
    assert find_row("InvalidOdd.InUse").road == Road.LET_GO


def test_the_call_and_the_message_can_decide():
    state = "IncorrectInstanceState"
    assert find_row(state, operation="stop_instances").road == Road.RETRY
    assert find_row(state, operation="modify_instance_attribute").road == Road.STOP
    wrong = AwsError("x", remedy="", code="InvalidParameterValue", words="Invalid IAM Instance Profile name")
    assert "INSTANCE_PROFILE" in wrong.row.remedy
