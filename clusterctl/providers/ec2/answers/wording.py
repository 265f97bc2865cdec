"""Messages of AWS as they are shown: short, and never with what only AWS can read."""

from __future__ import annotations

import json
import re
from typing import Any

_ENCODED = re.compile(r"\s*Encoded authorization failure message:\s*(\S+)", re.IGNORECASE)
"""What follows "You are not authorized to perform this operation."

Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html
"""
_MOST_TEXT = 1000


def split_encoded(message: str) -> tuple[str, str]:
    """Return a message without its encoded part, and that part; empty if it has none."""
    encoded = _ENCODED.search(message)
    return clean_text(_ENCODED.sub("", message)), encoded[1] if encoded else ""


def clean_text(message: str) -> str:
    """Return a message without control characters, cut where it is too long to be read."""
    text = " ".join("".join(char if char.isprintable() else " " for char in message).split())
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]} [...]"


def describe_decision(decoded: str) -> str:
    """Return what a decoded authorization message says: the action, the resource, and why it is not allowed.

    Empty if it says nothing of that.
    """
    try:
        decision = json.loads(decoded)
        context = decision["context"]
        action, resource = str(context["action"]), str(context["resource"])
    except (ValueError, KeyError, TypeError):
        return ""
    why = "denied by a policy" if _is_true(decision.get("explicitDeny")) else "allowed by no policy"
    return clean_text(f"{action} on {resource} is {why}")


def _is_true(value: Any) -> bool:
    return str(value).lower() == "true"
