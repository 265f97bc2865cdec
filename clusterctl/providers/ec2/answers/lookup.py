"""Looking an error code up in the table."""

from __future__ import annotations

from fnmatch import fnmatchcase

from clusterctl.providers.ec2.answers.rows import Kind, Road, Row
from clusterctl.providers.ec2.answers.table import TABLE

_UNKNOWN = Row(
    "", Kind.UNKNOWN, Road.STOP, "see what AWS says about this code; its support asks for the request's id", ""
)


def find_row(code: str, *, operation: str = "", message: str = "") -> Row:
    """Return the row of an error code; a row of the kind `UNKNOWN` if the table does not have it.

    Args:
        code: as AWS writes it.
        operation: the call that was refused, as boto3 names it.
        message: AWS's own words.
    """
    for row in TABLE:
        if (
            (row.code == code or ("*" in row.code and fnmatchcase(code, row.code)))
            and (not row.calls or operation in row.calls)
            and row.about in message
        ):
            return row
    return _UNKNOWN
