"""Reports on Airflow: one task per report, and the data interval as the range, so that a backfill is Airflow's own.

``collect_interval`` is a plain function: any scheduler that can call one will do.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

from analytical.collect import load, run

CONFIG = os.environ.get("REPORTS", "reports.toml")


def collect_interval(name: str, data_interval_start: datetime, data_interval_end: datetime, **_: Any) -> dict[str, Any]:
    """Read the periods of one interval again; raises where the report failed, so that the engine tries again.

    Args:
        name: the report.
        data_interval_start: the first instant.
        data_interval_end: the first instant after it.
    """
    summary = run(CONFIG, [name], since=data_interval_start, until=data_interval_end - timedelta(seconds=1))
    if not summary.ok:
        raise RuntimeError(summary.results[0].error)
    return summary.as_dict()


try:
    from airflow.providers.standard.operators.python import PythonOperator
    from airflow.sdk import DAG
except ImportError:
    pass  # the function above needs no Airflow
else:
    with DAG("reports", schedule="@daily", start_date=datetime(2025, 1, 1), catchup=True, max_active_runs=1) as dag:
        for name in load(CONFIG).reports:
            PythonOperator(
                task_id=f"collect_{name}",
                python_callable=collect_interval,
                op_kwargs={"name": name},
                retries=3,
                retry_delay=timedelta(minutes=10),
            )
