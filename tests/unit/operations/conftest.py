"""What recording plugins write to."""

from __future__ import annotations

import pytest


@pytest.fixture
def log():
    return []
