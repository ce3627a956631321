"""Universal Analytics queries in the words of GA4's Data API: names, filters, order; pure, and never a guess.

The names are those of Google's own table of equivalents
(https://developers.google.com/analytics/devguides/migration/api/reporting-ua-to-ga4-dims-mets) and, where it is silent,
fields of the Data API that mean the same (https://developers.google.com/analytics/devguides/reporting/data/v1/api-schema).
What has no equivalent is an error that names it; a user who knows better says so in the credentials file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from .errors import BadFile, CollectorError

__all__ = ["DIMENSIONS", "METRICS", "REALTIME_METRICS", "Names", "as_list", "filters_of", "property_of", "report_body"]

#: Universal Analytics' dimensions, and GA4's.
DIMENSIONS: Mapping[str, str] = {
    "appVersion": "appVersion",
    "browser": "browser",
    "campaign": "sessionCampaignName",
    "campaignCode": "sessionCampaignId",
    "channelGrouping": "sessionDefaultChannelGroup",
    "city": "city",
    "cityId": "cityId",
    "continent": "continent",
    "country": "country",
    "countryIsoCode": "countryId",
    "date": "date",
    "dateHour": "dateHour",
    "dateHourMinute": "dateHourMinute",
    "day": "day",
    "dayOfWeek": "dayOfWeek",
    "dayOfWeekName": "dayOfWeekName",
    "deviceCategory": "deviceCategory",
    "fullReferrer": "pageReferrer",
    "hostname": "hostName",
    "hour": "hour",
    "isoWeek": "isoWeek",
    "isoYear": "isoYear",
    "isoYearIsoWeek": "isoYearIsoWeek",
    "landingPagePath": "landingPagePlusQueryString",
    "language": "languageCode",
    "medium": "sessionMedium",
    "minute": "minute",
    "mobileDeviceBranding": "mobileDeviceBranding",
    "mobileDeviceModel": "mobileDeviceModel",
    "month": "month",
    "nthDay": "nthDay",
    "nthHour": "nthHour",
    "nthMinute": "nthMinute",
    "nthMonth": "nthMonth",
    "nthWeek": "nthWeek",
    "operatingSystem": "operatingSystem",
    "operatingSystemVersion": "operatingSystemVersion",
    "orderCouponCode": "orderCoupon",
    "pagePath": "pagePathPlusQueryString",
    "pageTitle": "pageTitle",
    "productBrand": "itemBrand",
    "productName": "itemName",
    "productSku": "itemId",
    "region": "region",
    "screenName": "unifiedScreenName",
    "screenResolution": "screenResolution",
    "searchKeyword": "searchTerm",
    "source": "sessionSource",
    "sourceMedium": "sessionSourceMedium",
    "transactionId": "transactionId",
    "userAgeBracket": "userAgeBracket",
    "userGender": "userGender",
    "userType": "newVsReturning",
    "visitorType": "newVsReturning",
    "week": "week",
    "year": "year",
    "yearMonth": "yearMonth",
    "yearWeek": "yearWeek",
}

#: Universal Analytics' metrics, and GA4's.
METRICS: Mapping[str, str] = {
    "1dayUsers": "active1DayUsers",
    "28dayUsers": "active28DayUsers",
    "7dayUsers": "active7DayUsers",
    "adClicks": "advertiserAdClicks",
    "adCost": "advertiserAdCost",
    "avgSessionDuration": "averageSessionDuration",
    "avgTimeOnSite": "averageSessionDuration",
    "bounceRate": "bounceRate",
    "eventValue": "eventValue",
    "goalCompletionsAll": "keyEvents",
    "goalConversionRateAll": "sessionKeyEventRate",
    "hits": "eventCount",
    "impressions": "advertiserAdImpressions",
    "itemQuantity": "itemsPurchased",
    "itemRevenue": "itemRevenue",
    "newUsers": "newUsers",
    "newVisits": "newUsers",
    "pageviews": "screenPageViews",
    "pageviewsPerSession": "screenPageViewsPerSession",
    "pageviewsPerVisit": "screenPageViewsPerSession",
    "productAddsToCart": "addToCarts",
    "productCheckouts": "checkouts",
    "revenuePerTransaction": "averagePurchaseRevenue",
    "sessionDuration": "userEngagementDuration",
    "sessions": "sessions",
    "sessionsPerUser": "sessionsPerUser",
    "totalEvents": "eventCount",
    "transactionRevenue": "purchaseRevenue",
    "transactions": "transactions",
    "uniquePurchases": "ecommercePurchases",
    "users": "totalUsers",
    "visitBounceRate": "bounceRate",
    "visitors": "totalUsers",
    "visits": "sessions",
}

#: The same for what is happening now (https://developers.google.com/analytics/devguides/reporting/data/v1/realtime-api-schema).
REALTIME_METRICS: Mapping[str, str] = {
    "activeUsers": "activeUsers",
    "activeVisitors": "activeUsers",
    "pageviews": "screenPageViews",
    "totalEvents": "eventCount",
}
_REALTIME_DIMENSIONS: Mapping[str, str] = {
    "appVersion": "appVersion",
    "city": "city",
    "cityId": "cityId",
    "country": "country",
    "countryIsoCode": "countryId",
    "deviceCategory": "deviceCategory",
    "minutesAgo": "minutesAgo",
    "screenName": "unifiedScreenName",
}

#: GA4 gives these as parts of one where Universal Analytics gave percent.
_PERCENT = re.compile(r"(?:bounceRate|sessionKeyEventRate)(?::.*)?$")

#: GA4's spelling of visitors, and the one that existing records have.
_VISITORS = {"new": "New Visitor", "returning": "Returning Visitor"}

_GOAL = re.compile(r"goal(\d+)(Completions|ConversionRate)$")
_CONDITION = re.compile(r"(?:ga:|rt:)?([A-Za-z0-9_]+)(==|!=|=~|!~|=@|!@|>=|<=|>|<)(.*)", re.DOTALL)
_NUMERIC = {
    "==": "EQUAL",
    "!=": "EQUAL",
    ">": "GREATER_THAN",
    ">=": "GREATER_THAN_OR_EQUAL",
    "<": "LESS_THAN",
    "<=": "LESS_THAN_OR_EQUAL",
}
_TEXTUAL = {
    "==": "EXACT",
    "!=": "EXACT",
    "=~": "PARTIAL_REGEXP",
    "!~": "PARTIAL_REGEXP",
    "=@": "CONTAINS",
    "!@": "CONTAINS",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Universal Analytics' names, and GA4's: the tables, and what a credentials file adds.

    Args:
        dimensions: a dimension's name → GA4's, such as ``{"browserVersion": "customEvent:browser_version"}``.
        metrics: the same for metrics.
        events: ``{"goal4": "purchase"}``: which key event took a goal's place.
        realtime: whether the realtime tables hold.
    """

    dimensions: Mapping[str, str]
    metrics: Mapping[str, str]
    events: Mapping[str, str]
    realtime: bool = False

    @classmethod
    def of(cls, credentials: Mapping[str, Any], *, realtime: bool = False) -> Names:
        """Read what a credentials file says of names."""
        tables: dict[str, dict[str, str]] = {}
        for option in ("dimensions", "metrics", "events"):
            given = credentials.get(option, {})
            if not isinstance(given, dict) or not all(isinstance(each, str) for each in given.values()):
                raise BadFile(f'"{option}" of the credentials file must map names to names of GA4, got {given!r:.80}')
            tables[option] = {_bare(name): value for name, value in given.items()}
        return cls(**tables, realtime=realtime)

    def dimension(self, name: str) -> str | None:
        """Return GA4's name of a dimension, or ``None``."""
        bare = _bare(name)
        return self.dimensions.get(bare) or (_REALTIME_DIMENSIONS if self.realtime else DIMENSIONS).get(bare)

    def metric(self, name: str) -> str | None:
        """Return GA4's name of a metric, or ``None``."""
        bare = _bare(name)
        found = self.metrics.get(bare) or (REALTIME_METRICS if self.realtime else METRICS).get(bare)
        goal = _GOAL.match(bare)
        if found is None and goal is not None and f"goal{goal[1]}" in self.events:
            kind = "keyEvents" if goal[2] == "Completions" else "sessionKeyEventRate"
            return f"{kind}:{self.events[f'goal{goal[1]}']}"
        return found


def property_of(credentials: Mapping[str, Any], view: object) -> str:
    """Return the GA4 property that took a view's place: ``properties/123``.

    Raises:
        BadFile: the credentials file has no map, or the view is not in it; says what to write.
    """
    bare = _bare(str(view))
    where = credentials.get("path_to_json_file", "the credentials file")
    example = f'"properties": {{"ga:{bare}": "properties/<id of the GA4 property>"}}'
    known = credentials.get("properties")
    if not isinstance(known, dict) or not known:
        old = [
            name
            for name in ("CLIENT_SECRETS", "STORAGE_PATH", "ACCOUNT_NAME", "PRIVATE_KEY", "OAUTH2_CREDENTIALS")
            if name in credentials
        ]
        given = f"{', '.join(old)} belong to Universal Analytics, which answers no more. " if old else ""
        raise BadFile(
            f'{where} has no "properties", so nothing says which GA4 property took the place of view ga:{bare}. {given}'
            "Create a service account with a JSON key, let it read the property (role Viewer), and write: "
            f'{{{example}, "service_account": "key.json"}}'
        )
    found = known.get(f"ga:{bare}") or known.get(bare)
    if found is None:
        raise BadFile(f'"properties" of {where} does not name view ga:{bare}; add {example}')
    number = str(found).removeprefix("properties/")
    if not number.isdigit():
        raise BadFile(f'"properties" of {where} gives {found!r} for view ga:{bare}; expected such as "properties/123"')
    return f"properties/{number}"


def report_body(
    names: Names,
    *,
    metrics: Sequence[str],
    dimensions: Sequence[str] = (),
    filters: str | None = None,
    sort: Sequence[str] = (),
    segment: object = None,
    period: tuple[date, date] | None = None,
) -> dict[str, Any]:
    """Return the body of ``runReport`` or, without a period, of ``runRealtimeReport``.

    Raises:
        CollectorError: something has no equivalent; names all of it at once.
    """
    missing: list[str] = []

    def known(name: str, kind: str, find: Callable[[str], str | None]) -> str:
        found = find(name)
        if found is None:
            missing.append(_missing(name, kind))
        return found or ""

    native_dimensions = [known(name, "dimension", names.dimension) for name in dimensions]
    native_metrics = [known(name, "metric", names.metric) for name in metrics]
    by_dimension, by_metric = filters_of(names, filters, missing) if filters else (None, None)
    order = [_order(names, each, known) for each in sort]
    if segment:
        missing.append(
            f"segment {str(segment)[:120]!r}: the Data API has no segments; use a filter, or make an audience in GA4"
        )
    if missing:
        raise CollectorError("GA4 has no equivalent of " + "; ".join(dict.fromkeys(missing)))
    body: dict[str, Any] = {"metrics": [{"name": name} for name in dict.fromkeys(native_metrics)]}
    if native_dimensions:
        body["dimensions"] = [{"name": name} for name in dict.fromkeys(native_dimensions)]
    if period is not None:
        body["dateRanges"] = [{"startDate": period[0].isoformat(), "endDate": period[1].isoformat()}]
    if by_dimension:
        body["dimensionFilter"] = by_dimension
    if by_metric:
        body["metricFilter"] = by_metric
    # Universal Analytics sorted by its dimensions where nobody asked; ranks and limits depend on it.
    order = order or [{"dimension": {"dimensionName": name}} for name in dict.fromkeys(native_dimensions)]
    if order:
        body["orderBys"] = order
    return body


def value_of(native: str, value: str) -> str:
    """Return a value as Universal Analytics gave it: percent, and ``New Visitor``.

    >>> value_of("bounceRate", "0.4375"), value_of("bounceRate", "1"), value_of("newVsReturning", "new")
    ('43.75', '100.0', 'New Visitor')
    """
    if native == "newVsReturning":
        return _VISITORS.get(value, value)
    if _PERCENT.match(native):
        try:
            # Fifteen digits take the noise of the product off; a whole percentage kept its ".0".
            return str(float(f"{float(value) * 100:.15g}"))
        except ValueError:
            return value
    return value


def filters_of(names: Names, text: str, missing: list[str]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return GA4's filters of dimensions and of metrics for Universal Analytics' ``a==1,b==2;c=~3``.

    A comma is "or" and binds tighter; a semicolon is "and"; either is plain text after a backslash.

    Raises:
        CollectorError: the text is no filter, or joins dimensions and metrics by "or".
    """
    dimensions: list[dict[str, Any]] = []
    metrics: list[dict[str, Any]] = []
    for group in re.split(r"(?<!\\);", text):
        either: list[dict[str, Any]] = []
        kinds: set[bool] = set()
        for condition in re.split(r"(?<!\\),", group):
            found = _CONDITION.fullmatch(condition.strip())
            if found is None:
                raise CollectorError(
                    f"the filter {condition!r} is none; expected such as pagePath=~^/done$ or sessions>99"
                )
            name, operator, value = found[1], found[2], found[3].replace("\\,", ",").replace("\\;", ";")
            of_metric = names.dimension(name) is None and (names.metric(name) is not None or operator in "<=>=")
            native = names.metric(name) if of_metric else names.dimension(name)
            if native is None:
                missing.append(_missing(name, "metric" if of_metric else "dimension"))
                native = name
            kinds.add(of_metric)
            either.append((_numeric if of_metric else _textual)(native, operator, value))
        if len(kinds) > 1:
            raise CollectorError(f"the filter {group!r} joins a dimension and a metric by a comma, which GA4 cannot")
        joined = either[0] if len(either) == 1 else {"orGroup": {"expressions": either}}
        (metrics if kinds == {True} else dimensions).append(joined)
    return _all(dimensions), _all(metrics)


def as_list(value: Any) -> list[str]:
    """Return one or many texts as a list, without empty ones."""
    if value is None:
        return []
    return [str(each) for each in (value if isinstance(value, list) else [value]) if each]


def prefixed(values: Sequence[str]) -> str:
    """Join names or filters the way the original did: ``ga:`` before each that lacks it, commas between.

    >>> prefixed(["a==1", "ga:b==2", "-visits"])
    'ga:a==1,ga:b==2,-ga:visits'
    """
    return ",".join(f"{'-' if value.startswith('-') else ''}ga:{_bare(value.removeprefix('-'))}" for value in values)


def _bare(name: str) -> str:
    return name.removeprefix("ga:").removeprefix("rt:")


def _missing(name: str, kind: str) -> str:
    bare = _bare(name)
    goal = _GOAL.match(bare)
    if goal is not None:
        event = f'"events": {{"goal{goal[1]}": "<event>"}}'
        return f"{kind} {bare} (say which key event it was: {event} in the credentials file)"
    return f'{kind} {bare} (if you have one, say so: "{kind}s": {{"{bare}": "<name in GA4>"}} in the credentials file)'


def _order(names: Names, each: str, known: Callable[[str, str, Callable[[str], str | None]], str]) -> dict[str, Any]:
    name = each.removeprefix("-")
    if names.metric(name) is None and names.dimension(name) is not None:
        order: dict[str, Any] = {"dimension": {"dimensionName": names.dimension(name)}}
    else:
        order = {"metric": {"metricName": known(name, "metric", names.metric)}}
    return {**order, "desc": True} if each.startswith("-") else order


def _textual(name: str, operator: str, value: str) -> dict[str, Any]:
    if operator not in _TEXTUAL:
        raise CollectorError(f"the filter {name}{operator}{value} compares a text with {operator}")
    made = {"filter": {"fieldName": name, "stringFilter": {"matchType": _TEXTUAL[operator], "value": value}}}
    return {"notExpression": made} if operator.startswith("!") else made


def _numeric(name: str, operator: str, value: str) -> dict[str, Any]:
    if operator not in _NUMERIC:
        raise CollectorError(f"the filter {name}{operator}{value} compares a number with {operator}")
    try:
        number = float(value)
    except ValueError:
        raise CollectorError(f"the filter {name}{operator}{value} compares a number with a text") from None
    wire = {"int64Value": str(int(number))} if number.is_integer() else {"doubleValue": number}
    made = {"filter": {"fieldName": name, "numericFilter": {"operation": _NUMERIC[operator], "value": wire}}}
    return {"notExpression": made} if operator == "!=" else made


def _all(expressions: list[dict[str, Any]]) -> dict[str, Any] | None:
    if len(expressions) < 2:
        return expressions[0] if expressions else None
    return {"andGroup": {"expressions": expressions}}
