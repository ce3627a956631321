"""``cton``: Collectington's command, with its configuration file and the classes that people wrote for it.

Source: https://github.com/HomeXLabs/collectington (0.1.4). What differs on purpose stands in
``docs/howto/migrate-collectington.rst``. While the command runs, ``collectington`` and its modules answer by their
names, so that a service's file needs no change.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any, NoReturn

from ..._stop import Stop
from ...errors import AnalyticalError, ConfigurationError
from .aliases import install_aliases
from .config import get_config, get_list_of_available_metrics, get_service, port_of, service_of, setup_logging

__all__ = ["install_aliases", "main"]


class _Parser(argparse.ArgumentParser):
    """The original was a shell script that ended with 1 where an option was missing."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(1, f"{self.prog}: {message}\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code.

    Args:
        argv: the arguments; those of the process unless given.

    Returns:
        0 after SIGTERM or SIGINT; 1 where the configuration, the service's class or the port cannot be used. No answer
        of an API ends the command.
    """
    parser = _Parser(prog="cton", description="Serve the numbers of one service's API to Prometheus.")
    parser.add_argument("-s", "--service", required=True, help="the name of a service in the configuration")
    parser.add_argument("-c", "--config", required=True, help="the path of the configuration file")
    args = parser.parse_args(argv)
    logger = setup_logging()
    try:
        return _serve(args.service, args.config, logger)
    except (AnalyticalError, ValueError) as error:
        logger.critical("%s", error)  # what ends the command is said at every log_level
    except OSError as error:
        logger.critical("%s: %s", error.filename or "the port", error.strerror or error)
    return 1


def _serve(name: str, path: str, logger: Any) -> int:
    logger.info("Reading config from %s", path)
    config = get_config(path)
    # NOTSET asks the root logger, which would hide what the word promises: everything.
    logger.setLevel(1 if config["log_level"] == "NOTSET" else config["log_level"])
    service_of(config, name)
    install_aliases()
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    from prometheus_client import start_http_server

    from .runner import Runner

    logger.info("Setting up Service: %s", name)
    try:
        service = get_service(config, name)
    except (AnalyticalError, OSError):
        raise
    except Exception as error:
        logger.debug("in full:", exc_info=True)
        raise ConfigurationError(f'service "{name}" cannot be made: {type(error).__name__}: {error}') from error
    runner = Runner(service, name, get_list_of_available_metrics(config, name))
    port = port_of(config, name)
    logger.info("Setting up HTTP Server - PORT: %s", port)
    server, thread = start_http_server(port)
    logger.info(
        "Differs from Collectington on purpose: an answer is observed once, a failure keeps the last values and sets "
        "analytical_up to 0, a total that went down was reset, and no value is no sample"
    )
    stop = Stop()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
    try:
        runner.run(config["api_call_intervals"], stop)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
    return 0
