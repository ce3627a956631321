"""``piwik.core`` and ``piwik.realtime``: Matomo's reporting API (https://developer.matomo.org/api-reference/reporting-api)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ...collect.protocol import Refusal, json_of
from ...errors import SourceError
from ...http import Response
from . import python2
from .dates import time_span
from .errors import BadFile, CollectorError
from .job import Job, collector
from .push import Pusher
from .realtime import record, refuse_dates
from .records import DataParser, Record
from .web import ask, credential, differs, log, open_session, patient, secret

__all__ = ["fetch", "main", "parse", "realtime_main"]

#: What Matomo gives where nobody asks for more (``API_datatable_default_limit`` of config/global.ini.php).
_DEFAULT_ROWS = 100

#: Reports that Matomo 3 and later know by another name (https://developer.matomo.org/changelog).
_RENAMED = {
    "UserSettings.getBrowserVersion": "DevicesDetection.getBrowserVersions",
    "UserSettings.getBrowser": "DevicesDetection.getBrowsers",
    "UserSettings.getBrowserType": "DevicesDetection.getBrowserEngines",
    "UserSettings.getOS": "DevicesDetection.getOsVersions",
    "UserSettings.getOSFamily": "DevicesDetection.getOsFamilies",
    "UserSettings.getResolution": "Resolution.getResolution",
    "UserSettings.getConfiguration": "Resolution.getConfiguration",
    "UserSettings.getPlugin": "DevicePlugins.getPlugin",
    "UserSettings.getLanguage": "UserLanguage.getLanguage",
    "UserSettings.getMobileVsDesktop": "DevicesDetection.getType",
}

_DATE = re.compile(r"\d{4}-\d{2}(?:-\d{2})?")


@collector
def main(job: Job) -> None:
    """Run a ``piwik.core`` query file."""
    span = time_span(job.query.get("frequency", "weekly"))
    if job.start_at and job.end_at:
        date = f"{job.start_at:%Y-%m-%d},{job.end_at:%Y-%m-%d}"
    else:
        date = "previous1"
        if job.start_at or job.end_at:
            log.warning(
                "Matomo is asked for the previous %s, as one of --start and --end is missing; give both for a range",
                span,
            )
    mappings = job.options.get("mappings")
    if not isinstance(mappings, dict):
        raise BadFile('"options" has no "mappings", which say what piwik.core keeps of an answer')
    own = job.query.get("api_method_arguments") or {}
    params = {**_params(job.query), "period": span, "date": date, **own}
    answer = _whole(job.credentials, params, fetch(job.credentials, params), own)
    Pusher(job.data_set_config, job.options).push(parse(answer, job.query, job.options, job.data_type))


@collector
def realtime_main(job: Job) -> None:
    """Run a ``piwik.realtime`` query file."""
    refuse_dates(job.start_at, job.end_at)
    answer = fetch(job.credentials, {**_params(job.query), "lastMinutes": job.query.get("minutes", 2)})
    try:
        visitors = int(answer[0]["visitors"])
    except (LookupError, TypeError, ValueError):
        raise CollectorError(
            f'{job.query["api_method"]} of site {job.query["site_id"]} gave no number of "visitors"; '
            'expected an answer such as [{"visitors": "53"}]'
        ) from None
    Pusher(job.data_set_config, job.options).push([record(visitors, "")])


def fetch(credentials: Mapping[str, Any], params: Mapping[str, Any]) -> Any:
    """Ask Matomo, with the token in the body, and return its answer.

    Raises:
        SourceError: no answer, or an error; names the method, the site and the dates.
    """
    try:
        return _fetch(credentials, params)
    except SourceError as error:
        newer = _RENAMED.get(str(params.get("method")))
        if newer is None or not _says_unknown(str(error)):
            raise
        differs("renamed", f"Matomo no longer has {params['method']}; {newer} is asked for instead")
        return _fetch(credentials, {**params, "method": newer})


def parse(data: Any, query: Mapping[str, Any], options: Mapping[str, Any], data_type: str) -> list[Record]:
    """Return the records of an answer: a mapping of dates to rows, or to the one row there is.

    Raises:
        CollectorError: a row lacks what ``mappings`` names; says the date, and what the row has.
    """
    span = time_span(query.get("frequency", "weekly"))
    base: list[dict[str, Any]] = []
    special: list[dict[str, Any]] = []
    what = f"{query.get('api_method')} of site {query.get('site_id')}"
    if data == []:
        data = {}
    if not isinstance(data, dict):
        raise CollectorError(
            f"{what} answered with {type(data).__name__} where dates with rows were expected; "
            'such an answer comes of "date" or "period" in "api_method_arguments"'
        )
    for key, found in python2.items(data):
        when = _start(key, what)
        rows = [found] if isinstance(found, dict) else found
        if not isinstance(rows, list):
            raise CollectorError(f"{what} for {key}: expected rows, got {found!r:.80}")
        for row in rows:
            fields: dict[str, Any] = {}
            for native, name in python2.items(options["mappings"]):
                if not isinstance(row, dict) or native not in row:
                    has = ", ".join(sorted(row)) if isinstance(row, dict) else repr(row)[:80]
                    raise CollectorError(
                        f'{what} for {key}: a row has no "{native}", which "mappings" names; it has {has}'
                    )
                fields[name] = row[native]
            base.append({"start_date": when})
            special.append({**fields, "timeSpan": span})
    return DataParser(base, options, data_type).get_data(special)


def _params(query: Mapping[str, Any]) -> dict[str, Any]:
    for name in ("site_id", "api_method"):
        if name not in query:
            raise BadFile(f'"query" has no "{name}", which piwik collectors need')
    return {"method": query["api_method"], "idSite": query["site_id"], "format": "json"}


def _whole(credentials: Mapping[str, Any], params: Mapping[str, Any], answer: Any, own: Mapping[str, Any]) -> Any:
    if "filter_limit" in own or not isinstance(answer, dict):
        return answer
    if all(not isinstance(rows, list) or len(rows) < _DEFAULT_ROWS for rows in answer.values()):
        return answer
    differs("rows", f"an answer of {_DEFAULT_ROWS} rows is cut off by Matomo, so it is asked for again without a limit")
    return fetch(credentials, {**params, "filter_limit": -1})


def _fetch(credentials: Mapping[str, Any], params: Mapping[str, Any]) -> Any:
    url, token = credential(credentials, "url"), secret(credentials, "token_auth")
    url += "&module=API" if "?" in url else "?module=API"
    what = f"{params['method']} of site {params['idSite']}"
    if "date" in params:
        what += f" for {params['period']} {params['date']}"
    refused: list[int] = []

    def judge(response: Response, now: float) -> Refusal | None:
        refused.append(response.status)
        if response.status in (405, 501):
            return Refusal(reason=f"answered {response.status}: it takes no POST")
        return _error(response) if 200 <= response.status < 300 else patient(response, now)

    with open_session(token) as session:
        try:
            answer = ask(
                lambda: session.post(url, params=params, data={"token_auth": token}, secrets=(token,), judge=judge),
                what,
            )
        except SourceError:
            if not refused or refused[-1] not in (405, 501):
                raise
            log.warning("Matomo takes no POST, so the token stands in the address; allow POST to index.php")
            answer = ask(
                lambda: session.get(url, params={**params, "token_auth": token}, secrets=(token,), judge=judge), what
            )
        else:
            differs("token", "token_auth travels in the body of a POST, not in the address")
    return answer.json()


def _error(response: Response) -> Refusal | None:
    try:
        found = json_of(response)
    except SourceError as error:
        return Refusal(reason=str(error))
    if isinstance(found, dict) and found.get("result") == "error":
        return Refusal(reason=f"Matomo says: {str(found.get('message', 'error'))[:300]}")
    return None


def _says_unknown(message: str) -> bool:
    return any(words in message for words in ("does not exist", "not available", "not enabled", "not activated"))


def _start(key: str, what: str) -> datetime:
    found = _DATE.search(key)
    try:
        if found is None:
            raise ValueError
        return datetime.strptime(found[0], "%Y-%m-%d" if len(found[0]) == 10 else "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise CollectorError(f'{what}: "{key[:80]}" stands where a date was expected, such as 2015-02-13') from None
