"""Read by mypy --strict alone: what must check, and (ignored, and needed) what must not."""

from __future__ import annotations

from datetime import UTC, datetime

import analytical

site: analytical.Provider = analytical.Provider("matomo", 1, endpoint="https://stats.example.com", privacy="strict")
taken: bool = site.pageview({"action_name": "Home"}, url="https://example.com/", time=datetime.now(UTC))
taken = site.event("signup", properties={"plan": "pro"}, key="signup-1", on_success=lambda: None)
counts: dict[str, int] = site.stats()
policy: analytical.Policy = analytical.Policy.strict()

site.pageview(titel="x")  # type: ignore[call-arg]
site.pageview(title=3)  # type: ignore[arg-type]
site.event("x", on_success=3)  # type: ignore[arg-type]
analytical.Provider("matomo", 1, timeout="3")  # type: ignore[arg-type]
