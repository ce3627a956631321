"""Reports on an existing Celery: one task per report, so that workers share them out.

celery -A celery_tasks worker
celery -A celery_tasks beat
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, group
from celery.schedules import crontab

from analytical.collect import load, run

CONFIG = os.environ.get("REPORTS", "reports.toml")

app = Celery("reports", broker=os.environ.get("CELERY_BROKER_URL", "redis://127.0.0.1:6379/0"))
app.conf.beat_schedule = {"reports": {"task": "celery_tasks.collect_all", "schedule": crontab(hour=1, minute=10)}}


@app.task(name="celery_tasks.collect_one", bind=True, max_retries=5)
def collect_one(self: Any, name: str, since: str | None = None, until: str | None = None) -> dict[str, Any]:
    """Read one report. A repeat is harmless, so a task that ran twice, or half, does no damage."""
    summary = run(CONFIG, [name], since=since, until=until)
    if not summary.ok:
        raise self.retry(exc=RuntimeError(summary.results[0].error), countdown=600 * 2**self.request.retries)
    return summary.as_dict()


@app.task(name="celery_tasks.collect_all")
def collect_all() -> None:
    """Start a task for every report of the file."""
    group(collect_one.s(name) for name in load(CONFIG).reports).delay()
