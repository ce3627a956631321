"""Incidents of Splunk On-Call for Prometheus, in the form of Collectington's example.

Write the key and the id of your account into the file ``splunk`` beside this one::

    API_KEY="…"
    API_ID="…"

and run, in this directory::

    cton -s splunk -c ./config.json

The API: https://portal.victorops.com/public/api-docs.html#/Reporting
"""

from datetime import UTC, datetime, timedelta
from statistics import mean

from collectington.collectington_api import (
    CollectingtonApi,
    enable_delta_metric,
    register_metric,
    register_metric_class,
)
from collectington.config import get_config


def read_secrets(path):
    """Return the NAME="value" lines of a file."""
    with open(path, encoding="utf-8") as file:
        pairs = (line.split("=", 1) for line in file if "=" in line)
        return {name.strip(): value.strip().strip('"') for name, value in pairs}


@register_metric_class
class SplunkApi(CollectingtonApi):
    """How many incidents there were, and how long people took to acknowledge and to resolve them."""

    def __init__(self):
        super().__init__()
        self.config = get_config("config.json")
        self.service_name = "splunk"
        service = self.config["services"][self.service_name]
        self.api_url = service["api_url"]
        secrets = read_secrets(service["secret_file_path"])
        self.headers = {"X-VO-Api-Key": secrets["API_KEY"], "X-VO-Api-Id": secrets["API_ID"]}

    @register_metric("number_of_incidents")
    @enable_delta_metric
    def get_number_of_incidents(self):
        # The total of all time: it only grows, and the decorator adds what is new.
        self.params = {}
        return self.get_data_from_store("all_incidents")["total"]

    @register_metric("time_taken_to_acknowledge")
    def get_time_taken_to_acknowledge(self):
        return self.minutes_until("acknowledged")

    @register_metric("time_taken_to_resolve")
    def get_time_taken_to_resolve(self):
        return self.minutes_until("resolved")

    def minutes_until(self, event):
        """Return the mean minutes from an alert to an event; None where no alert of the last hour came so far."""
        since = datetime.now(UTC) - timedelta(hours=1)
        # A store of its own, so that no other metric's parameters decide what this one reads.
        self.params = {"startedAfter": since.strftime("%Y-%m-%dT%H:%M:%SZ")}
        first = {}
        for incident in self.get_data_from_store("recent_incidents")["incidents"]:
            for transition in incident["transitions"]:
                key = (transition["alertId"], transition["name"])
                first[key] = min(transition["at"], first.get(key, transition["at"]))
        taken = [
            (parsed(at) - parsed(first[alert, "triggered"])).total_seconds() / 60
            for (alert, name), at in first.items()
            if name == event and (alert, "triggered") in first
        ]
        return mean(taken) if taken else None


def parsed(text):
    """Return the moment that a text such as 2026-01-31T12:00:00Z is."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
