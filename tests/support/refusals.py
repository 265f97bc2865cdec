"""What the tests have AWS refuse with: every error code of the table, and two of no row."""

from __future__ import annotations

from clusterctl_standin.faults import ALWAYS, Fails

from clusterctl.providers.ec2.answers.lookup import find_row
from clusterctl.providers.ec2.answers.rows import Kind
from clusterctl.providers.ec2.answers.table import TABLE

NO_ROW = ("NewlyInvented", "Another.NewlyInvented")
CODES = sorted({row.code.replace("*", "InvalidOdd") for row in TABLE} | set(NO_ROW))
WORDS = "These are the words of AWS. Encoded authorization failure message: " + "aB3" * 300


def refusal(action: str, code: str, *, skip: int = 0) -> Fails:
    """Every call of an action is refused with a code, once so many have passed."""
    status = 503 if find_row(code).kind == Kind.BUSY else 400
    return Fails(action, code=code, message=WORDS, status=status, skip=skip, times=ALWAYS)
