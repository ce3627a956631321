"""The gate: what may leave the building, and in what form. See :class:`analytical.privacy.policy.Policy`."""

from __future__ import annotations

from .policy import Facts, Note, Policy, Receipt, Rule

__all__ = ["Facts", "Note", "Policy", "Receipt", "Rule"]
