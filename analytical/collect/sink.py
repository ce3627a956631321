"""What a sink is: it takes the records of one period at a time, and may know which periods it has."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

from ..errors import AnalyticalError, ConfigurationError
from ..registry import Registry
from ..secrets import is_reference, resolve
from .period import Period
from .records import Batch, Record

__all__ = ["SINKS", "CallableSink", "Sink", "SinkLike", "Target", "redacted", "sink_for", "table_name"]

#: What ``.to()`` takes: a URL, a path, a callable ``sink(records, replace)``, or a :class:`Sink`.
SinkLike = "str | Callable[[Iterable[Record], Period | None], object] | Sink"

SINKS = Registry(
    "report sink",
    "analytical.sinks",
    {
        "-": "analytical.collect.sinks.jsonl:Stdout",
        "jsonl": "analytical.collect.sinks.jsonl:JsonLines",
        "ndjson": "analytical.collect.sinks.jsonl:JsonLines",
        "csv": "analytical.collect.sinks.csv:Csv",
        "parquet": "analytical.collect.sinks.parquet:Parquet",
        "prom": "analytical.collect.sinks.prometheus:TextFile",
        "prometheus": "analytical.collect.sinks.prometheus:Endpoint",
        "backdrop+https": "analytical.collect.sinks.backdrop:Backdrop",
        "backdrop+http": "analytical.collect.sinks.backdrop:Backdrop",
        "dlt": "analytical.collect.sinks.dlt:Dlt",
        "sql": "analytical.collect.sinks.sql:Sql",
    },
)

_FILES = ("jsonl", "ndjson", "csv", "parquet", "prom")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a sink must know of the report whose records it takes.

    Args:
        name: the report's name; the default name of a table.
        span: ``timeSpan`` of the records; ``None`` where they stand on no grid.
        constants: dimensions with one value: with the period, they say which stored records are this report's.
        dimensions: the columns of text known beforehand.
        metrics: the columns of numbers known beforehand.
        declared: whether those are all that will ever come.
        tz: the grid's zone.
    """

    name: str
    span: str | None = "day"
    constants: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))
    dimensions: Sequence[str] = ()
    metrics: Sequence[str] = ()
    declared: bool = False
    tz: Any = None


class Sink:
    """The base of all sinks.

    The life of one: ``open(target)``, then ``stored(target)`` where it can be asked, then ``write`` once a period,
    then ``close``. ``write`` raises :class:`~analytical.errors.SinkError` and leaves the period as it was.
    """

    #: Whether the sink finds two records with one id itself, so that nobody else has to look.
    finds_duplicates: ClassVar[bool] = False

    #: Set before ``open`` where nothing may be changed, made or started.
    dry: bool = False

    def open(self, target: Target) -> None:
        """Prepare for the records of one report."""

    def stored(self, target: Target) -> Iterable[str] | None:
        """Give the ``_timestamp`` of every stored period of this report; ``None`` where that cannot be known."""
        return None

    def write(self, records: Batch, replace: Period | None, target: Target) -> None:
        """Store the records of one period in place of what is stored of it; with ``None``, add them."""
        raise NotImplementedError

    def close(self, target: Target) -> None:
        """Make everything written durable, and let go."""

    def describe(self) -> str:
        """Return where records go, fit for people: no password, no token."""
        return type(self).__name__

    def key(self, target: Target) -> object:
        """Return what two reports of one run must not share; ``None`` where anything may be shared."""
        return None

    def preview(self, records: Batch, replace: Period | None, target: Target) -> list[str]:
        """Return what ``write`` would do, in lines for people.

        Raises:
            SinkError: it would refuse the records.
        """
        verb = "add" if replace is None else f"replace {replace} by"
        return [f"would {verb} {len(records)} records in {self.describe()}"]


class CallableSink(Sink):
    """A sink out of your own function ``sink(records, replace)``, called once a period."""

    def __init__(self, function: Callable[[Iterable[Record], Period | None], object]) -> None:
        self._function = function

    def write(self, records: Batch, replace: Period | None, target: Target) -> None:
        self._function(records, replace)

    def describe(self) -> str:
        return f"{getattr(self._function, '__name__', type(self._function).__name__)}()"


def sink_for(to: Any, *, options: Mapping[str, Any] | None = None) -> Sink:
    """Return the sink that a URL, a path or a callable means.

    Args:
        to: ``-``; a path that ends in ``.jsonl``, ``.csv``, ``.parquet`` or ``.prom``; ``backdrop+https://…``;
            ``prometheus://HOST:PORT``; ``dlt:DESTINATION/DATASET``; any SQLAlchemy URL; a callable; a sink.
            A text ``env:NAME``, ``file:PATH`` or ``keyring:SERVICE/NAME`` stands for the URL it refers to.
        options: what the sink's class takes besides, such as ``token`` or ``table``.

    Raises:
        ConfigurationError: it means nothing; lists what would.
    """
    extra = dict(options or {})
    if isinstance(to, Sink):
        return to
    if not isinstance(to, str):
        if hasattr(to, "__fspath__"):
            to = str(to)
        elif callable(to):
            return CallableSink(to)
        else:
            raise ConfigurationError(f"to={type(to).__name__}: expected a URL, a path or a callable(records, replace)")
    if is_reference(to) and not _is_file_path(to):
        to = resolve(to, what="to")
    if to == "-":
        return _made("-", to, extra)
    scheme = to.partition(":")[0].lower() if ":" in to else ""
    if scheme == "dlt":
        return _made("dlt", to, extra)
    if "://" in to and scheme != "file":
        if scheme in SINKS:
            return _made(scheme, to, extra)
        url, options_in_url = _options_of(to, ("table",))
        return _made("sql", url, {**options_in_url, **extra})
    path = to.removeprefix("file://").removeprefix("file:")
    ending = path.rpartition(".")[2].lower()
    if "." in path and ending in _FILES:
        return _made(ending, path, extra)
    raise ConfigurationError(
        f'to="{redacted(to)}" is no sink. Expected "-", a path ending in .jsonl, .csv, .parquet or .prom, '
        '"backdrop+https://host/data/group/type", "prometheus://host:port", "dlt:destination/dataset", '
        'or a SQLAlchemy URL such as "sqlite:///stats.db"'
    )


def _is_file_path(to: str) -> bool:
    # "file:out.jsonl" is a path to write; "file:/run/secrets/url" refers to a text to read.
    return to.startswith("file:") and to.rpartition(".")[2].lower() in _FILES


def _made(name: str, to: str, options: Mapping[str, Any]) -> Sink:
    made = SINKS.get(name)
    try:
        sink: Sink = made(to, **options)
    except TypeError as error:
        # Only a wrong keyword is the caller's; the class's own faults must be seen as they are.
        if options and "unexpected keyword" in str(error):
            raise ConfigurationError(f'to="{redacted(to)}": {error}') from None
        raise
    except AnalyticalError:
        raise
    except ValueError:
        # What reads URLs says so of a port or an IPv6 address that is none; its words may hold part of a password.
        raise ConfigurationError(f'to="{redacted(to)}" is no address; see its host and port') from None
    return sink


def _options_of(url: str, wanted: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Take options of ours out of a URL's query."""
    head, mark, query = url.partition("?")
    if not mark:
        return url, {}
    pairs = parse_qsl(query, keep_blank_values=True)
    mine = {name: value for name, value in pairs if name in wanted}
    rest = [(name, value) for name, value in pairs if name not in wanted]
    return head + (f"?{urlencode(rest)}" if rest else ""), mine


def redacted(url: str) -> str:
    """Return a URL fit for people: without password, and without the value of anything that sounds secret.

    >>> redacted("postgresql://me:pw@db/stats?sslmode=require&token=x")
    'postgresql://me:***@db/stats?sslmode=require&token=***'
    """
    shown = re.sub(r"(://[^/?#:@]*):[^/?#]*@", r"\1:***@", url)
    return re.sub(r"(?i)([?&][^&=#]*(?:pass|token|secret|key|pwd|auth)[^&=#]*=)[^&#]*", r"\1***", shown)


def table_name(name: str) -> str:
    """Return a report's name as a table can be called.

    >>> table_name("DevicesDetection.getType")
    'DevicesDetection_getType'
    """
    found = re.sub(r"\W+", "_", name).strip("_")[:60]
    return found if found and not found[0].isdigit() else f"report_{found}"
