"""stdout: what is sent, and what the answers mean."""

from __future__ import annotations

from typing import Any

import pytest
from sampling import cases, check_encode, check_interpret


@pytest.mark.parametrize("case", cases("stdout"))
def test_hits_become_these_requests(case: dict[str, Any]) -> None:
    check_encode(case)


@pytest.mark.parametrize("case", cases("stdout"))
def test_answers_become_these_verdicts(case: dict[str, Any]) -> None:
    check_interpret(case)
