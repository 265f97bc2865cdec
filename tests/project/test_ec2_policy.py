"""The IAM policy in the docs has what the program asks of AWS: every action, and nothing that it does not need."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from clusterctl.providers.ec2.account.gc import DELETE_CALLS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/howto/ec2.md"
PREFIXES = {"service-quotas": "servicequotas"}
"""What IAM calls services that boto3 calls otherwise."""
SPELT = {
    "servicequotas:GetAwsDefaultServiceQuota": "servicequotas:GetAWSDefaultServiceQuota",
    "ec2-instance-connect:SendSshPublicKey": "ec2-instance-connect:SendSSHPublicKey",
}
INDIRECT = {
    "f'describe_{kind}s'": {"ec2:DescribePlacementGroups", "ec2:DescribeSecurityGroups"},
    "f'delete_{kind}'": {"ec2:DeletePlacementGroup", "ec2:DeleteSecurityGroup"},
    "f'describe_{kind}'": {  # of what is deleted
        f"ec2:Describe{''.join(word.capitalize() for word in name.split('_')[1:])}s"
        for name, _ in DELETE_CALLS.values()
    },
    "operation": {f"ec2:{''.join(word.capitalize() for word in name.split('_'))}" for name, _ in DELETE_CALLS.values()},
}
"""Calls whose operation is put together, by how the source says it."""
NEEDED_BESIDE = {
    "iam:CreateServiceLinkedRole": "the first spot instance of an account makes its role",
}
FREE = {"sts:GetCallerIdentity"}
"""What everybody may."""


def action(service: str, operation: str) -> str:
    name = f"{PREFIXES.get(service, service)}:{''.join(word.capitalize() for word in operation.split('_'))}"
    return SPELT.get(name, name)


def calls() -> Iterator[tuple[ast.expr, ast.expr]]:
    """Service and operation of every call to AWS."""
    for path in sorted((ROOT / "clusterctl/providers/ec2").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or len(node.args) < 2:
                continue
            if isinstance(node.func, ast.Attribute) and node.func.attr in {"call", "pages"}:
                yield node.args[0], node.args[1]
            elif isinstance(node.func, ast.Name) and node.func.id == "delete_resource":  # of deletion.py
                yield ast.Constant("ec2"), node.args[1]


def asked() -> set[str]:
    found: set[str] = set()
    for service, operation in calls():
        assert isinstance(service, ast.Constant), ast.unparse(service)
        if isinstance(operation, ast.Constant):
            found.add(action(service.value, operation.value))
        else:
            found |= INDIRECT[ast.unparse(operation)]
    return found


@pytest.fixture(scope="module")
def statements() -> list[dict]:
    (block,) = re.findall(r"^```json\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return json.loads(block)["Statement"]


def actions_of(statement: dict) -> set[str]:
    said = statement["Action"]
    return {said} if isinstance(said, str) else set(said)


def test_the_policy_allows_what_the_program_calls_and_nothing_else(statements):
    allowed = set().union(*map(actions_of, statements))
    assert asked() >= {"ec2:CreateFleet", "ec2:TerminateInstances", "ssm:GetParameters"}, (
        "the calls are not found any more"
    )
    assert allowed == (asked() - FREE) | set(NEEDED_BESIDE)


def test_what_changes_or_ends_something_is_bound_to_our_tags(statements):
    for statement in statements:
        ends = [
            each for each in actions_of(statement) if re.match(r"ec2:(Delete|Terminate|Stop|Reboot|Revoke|Dereg)", each)
        ]
        if ends:
            keys = statement["Condition"]["Null"]
            assert all(key.startswith("aws:ResourceTag/clusterctl:") for key in keys), statement["Sid"]
            assert set(keys.values()) == {"false"}


def test_tags_are_made_at_birth_or_on_what_is_ours(statements):
    tagging = [each for each in statements if "ec2:CreateTags" in actions_of(each)]
    assert tagging
    assert all("Condition" in each for each in tagging)


def test_each_statement_has_a_name_of_its_own(statements):
    names = [each["Sid"] for each in statements]
    assert len(names) == len(set(names))
