"""What the tests have AWS refuse with: every error code of the table, and two of no row."""

from __future__ import annotations

from clusterctl.providers.ec2.answers.table import TABLE

NO_ROW = ("NewlyInvented", "Another.NewlyInvented")
CODES = sorted({row.code.replace("*", "InvalidOdd") for row in TABLE} | set(NO_ROW))
WORDS = "These are the words of AWS. Encoded authorization failure message: " + "aB3" * 300
