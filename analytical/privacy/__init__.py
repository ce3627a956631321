"""The gate: what may leave the building, and in what form. See :class:`analytical.privacy.policy.Policy`."""

from __future__ import annotations

from .consent import Facts
from .policy import Note, Policy, Receipt
from .rule import Rule

__all__ = ["Facts", "Note", "Policy", "Receipt", "Rule"]
