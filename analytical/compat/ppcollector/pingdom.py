"""``pingdom``: uptime by the hour (https://docs.pingdom.com/api/).

Credentials with a ``token`` speak API 3.1; those with ``user``, ``password`` and ``app_key`` speak 2.0 as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ...errors import SourceError
from .errors import BadFile, CollectorError
from .job import Job, collector
from .push import DataSet
from .records import Record
from .web import ask, credential, differs, log, open_session, patient, secret

__all__ = ["Pingdom", "main", "parse_time_range"]

_EARLIEST = datetime(2005, 1, 1)


@collector
def main(job: Job) -> None:
    """Run a ``pingdom`` query file."""
    if "name" not in job.query:
        raise BadFile('"query" has no "name", the name of the check to read')
    start, end = parse_time_range(job.start_at, job.end_at)
    stats = Pingdom(job.credentials).stats(job.query["name"], start, end)
    DataSet.from_config(job.data_set_config).post([_record(hour, job.query["name"]) for hour in stats])


def parse_time_range(start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    """Return what to ask for, in whole hours: up to now, from 2005 on, or the last day, where a limit is missing."""
    now = datetime.now()
    if not start and not end:
        start = now - timedelta(days=1)
    return _hour(start or _EARLIEST), _hour(end or now)


class Pingdom:
    """Reads checks.

    Args:
        config: ``token``, or ``user``, ``password``, ``app_key`` and, for accounts of several people,
            ``account_email``; ``url`` where the API is not Pingdom's own.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._headers: dict[str, str] = {}
        self._auth: tuple[str, str] | None = None
        self._modern = "token" in config
        if self._modern:
            token = secret(config, "token")
            differs("pingdom", 'credentials with a "token" speak API 3.1')
            self._headers["Authorization"] = f"Bearer {token}"
            self._secrets: tuple[str, ...] = (token,)
        else:
            password, key = secret(config, "password"), secret(config, "app_key")
            self._auth = (credential(config, "user"), password)
            self._headers["App-Key"] = key
            if config.get("account_email"):
                self._headers["Account-Email"] = credential(config, "account_email")
            self._secrets = (password, key)
        default = f"https://api.pingdom.com/api/{'3.1' if self._modern else '2.0'}/"
        self.API_LOCATION = str(config.get("url") or default).rstrip("/") + "/"

    def stats(self, check_name: str, start: datetime, end: datetime) -> list[dict[str, Any]]:
        """Return the hours of a check, each with an aware ``starttime``.

        Raises:
            SourceError: Pingdom refused; names the check and the range.
            CollectorError: there is no such check.
        """
        first, last = start.timestamp(), end.timestamp()
        params = {
            "includeuptime": "true",
            "from": int(first) if self._modern else first,
            "to": int(last) if self._modern else last,
            "resolution": "hour",
        }
        what = f'check "{check_name}" from {start:%Y-%m-%dT%H:%M} to {end:%Y-%m-%dT%H:%M}'
        answer = self._get(f"summary.performance/{self.check_id(check_name)}", params, what)
        try:
            return [
                {**hour, "starttime": datetime.fromtimestamp(hour["starttime"], tz=UTC)}
                for hour in answer["summary"]["hours"]
            ]
        except (LookupError, TypeError, ValueError, OverflowError, OSError):
            raise CollectorError(f"{what}: the answer has no hours with a starttime") from None

    def check_id(self, name: str) -> int:
        """Return the number of a check, by its name."""
        answer = self._get("checks", {}, f'the list of checks (looking for "{name}")')
        checks = answer.get("checks") if isinstance(answer, dict) else None
        if not isinstance(checks, list):
            raise CollectorError("the list of checks has no checks in it")
        for check in checks:
            if isinstance(check, dict) and check.get("name") == name and "id" in check:
                number: int = check["id"]
                return number
        raise CollectorError(f'no check is called "{name}"; there are {len(checks)} others')

    def _get(self, path: str, params: Mapping[str, Any], what: str) -> Any:
        with open_session(*self._secrets) as session:
            try:
                return ask(
                    lambda: session.get(
                        self.API_LOCATION + path,
                        params=params,
                        headers=self._headers,
                        auth=self._auth,
                        secrets=self._secrets,
                        judge=patient,
                    ).json(),
                    what,
                )
            except SourceError:
                if not self._modern:
                    log.warning(
                        "Pingdom's API 2.0 was retired; make an API token in Pingdom (read access) and give it as "
                        '"token" in the credentials file'
                    )
                raise


def _hour(when: datetime) -> datetime:
    return when.replace(minute=0, second=0, microsecond=0)


def _record(hour: Mapping[str, Any], check: str) -> Record:
    when = hour["starttime"].isoformat()
    try:
        measured = {name: hour[name] for name in ("avgresponse", "uptime", "downtime", "unmonitored")}
    except KeyError as error:
        raise CollectorError(
            f'check "{check}" at {when}: the hour has no {error}; it has {", ".join(sorted(hour))}'
        ) from None
    return {"_id": f"{check.replace(' ', '_')}.{when}", "_timestamp": when, **measured, "check": check}
