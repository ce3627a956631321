"""``pp-collector``: the command line, files and records of performanceplatform-collector 0.3.2.

Query files, credentials, exit codes and ids are the original's
(https://github.com/alphagov/performanceplatform-collector); what differs on purpose stands in
``docs/howto/migrate-ppcollector.rst``. Collectors written for the original load as they are: the modules that they
import answer by their old names while the command runs.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import AnalyticalError
from ...http import mask
from .aliases import install_aliases
from .arguments import parse_args
from .errors import BadFile
from .logs import logging_to, secrets_of
from .push import get_config

__all__ = ["install_aliases", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code.

    Args:
        argv: the arguments; those of the process unless given.

    Returns:
        0: sent, nothing to send, or switched off by ``DISABLE_COLLECTORS=true``. 1: failed, with a sentence on
        standard error. (2, a usage error, is raised by the parser.)
    """
    secrets: tuple[str, ...] = ()
    about = "pp-collector"
    try:
        args = parse_args("Performance Platform", argv)
        secrets = secrets_of(args.credentials, args.token, args.performanceplatform)
        if args.collector_slug:
            args.query = get_config(args.collector_slug, args.performanceplatform)
        about = _name(args.query)
        with logging_to(args.console_logging, args.query.get("entrypoint", "pp-collector"), secrets):
            return _logged_run(args, about, secrets)
    except (AnalyticalError, OSError) as error:
        _say(f"{about}: {_sentence(error)}", secrets)
        return 1


def _logged_run(args: Namespace, about: str, secrets: tuple[str, ...]) -> int:
    try:
        _run(args)
    except (AnalyticalError, OSError) as error:
        message = f"{about}: {_sentence(error)}"
    except Exception as error:  # a collector of someone else may raise anything; the log has it whole
        logging.exception("Unhandled exception")
        message = f"{about}: {type(error).__name__}: {error}"
    else:
        return 0
    logging.error("%s", message)
    if not args.console_logging:
        _say(message, secrets)
    return 1


def _run(args: Namespace) -> None:
    entrypoint = _need(args.query, "entrypoint", str)
    query, options = _need(args.query, "query", dict), _need(args.query, "options", dict)
    group, data_type = _data_set(args.query)
    if os.environ.get("DISABLE_COLLECTORS", "false") == "true":
        ignored = {"data-set": args.query["data-set"], "query": query, "options": options}
        logging.info(
            "Collector %s NOT run with the following %s",
            entrypoint,
            {"start_at": args.start_at, "end_at": args.end_at, "query": ignored},
        )
        return
    config = {
        "url": f"{_need(args.performanceplatform, 'backdrop_url', str)}/{group}/{data_type}",
        "token": _need(args.token, "token", str),
        "data-group": group,
        "data-type": data_type,
        "dry_run": args.dry_run,
    }
    run = _collector(entrypoint)
    logging.info("Running collection into %s/%s", group, data_type)
    run(args.credentials, config, query, options, args.start_at, args.end_at)


def _collector(entrypoint: str) -> Any:
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    # After the path: performanceplatform/collector/yours.py in the working directory is the documented place.
    install_aliases()
    try:
        module = importlib.import_module(entrypoint)
    except ImportError as error:
        missing = f" ({error})" if getattr(error, "name", None) != entrypoint else ""
        raise BadFile(
            f'the entrypoint "{entrypoint}" cannot be imported{missing}; it must be the name of a module on the '
            "import path with a function main(credentials, data_set_config, query, options, start_at, end_at)"
        ) from error
    except (ValueError, TypeError) as error:
        raise BadFile(f'the entrypoint "{entrypoint}" is no name of a module ({error})') from None
    if not callable(getattr(module, "main", None)):
        raise BadFile(
            f'the entrypoint "{entrypoint}" has no function main(credentials, data_set_config, query, options, '
            "start_at, end_at)"
        )
    return module.main


def _data_set(query: Mapping[str, Any]) -> tuple[str, str]:
    data_set = _need(query, "data-set", dict)
    for name in ("data-group", "data-type"):
        if not isinstance(data_set.get(name), str):
            raise BadFile(f'"data-set" of {_path(query)} has no "{name}"')
    return data_set["data-group"], data_set["data-type"]


def _need(file: Mapping[str, Any], name: str, kind: type) -> Any:
    value = file.get(name)
    if not isinstance(value, kind):
        words = "a text" if kind is str else "an object, which may be empty"
        given = "is missing" if name not in file else f"is {value!r:.60}"
        raise BadFile(f'"{name}" of {_path(file)} {given}; expected {words}')
    return value


def _path(file: Mapping[str, Any]) -> str:
    return str(file.get("path_to_json_file", "the collector's configuration"))


def _name(query: Mapping[str, Any]) -> str:
    data_set = query.get("data-set")
    if not isinstance(data_set, dict):
        return "pp-collector"
    return "/".join(str(data_set.get(name, "?")) for name in ("data-group", "data-type"))


def _sentence(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and not isinstance(error, AnalyticalError):
        return f"{error.filename or 'a file'} cannot be used: {error.strerror}"
    return str(error) or type(error).__name__


def _say(message: str, secrets: tuple[str, ...]) -> None:
    sys.stderr.write(mask(message, secrets) + "\n")
    sys.stderr.flush()
