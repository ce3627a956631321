"""The class of release 0.0.1, by its contract."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
import requests_mock as rm

from analytical.errors import DeliveryError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from analytical.providers.googleanalytics import Provider, generate_client_id

COLLECT = "https://www.google-analytics.com/collect"
PARAMS = {"ua": "user-agent", "uip": "12.34.56.78", "dl": "https://example.com", "dt": "page title"}


@pytest.fixture(autouse=True)
def _quiet() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


class Seam(Provider):
    """What 0.0.1's users replaced in their tests."""

    sent: Mapping[str, Any]

    def _send(self, params: Mapping[str, Any]) -> str:
        self.sent = params
        return "what _send returns"


def test_a_page_view_is_a_flat_dict_of_v_tid_t_and_the_callers_keys() -> None:
    ga = Seam("UA-XXXXXX-Y")
    assert ga.pageview(PARAMS) == "what _send returns"
    cid = ga.sent["cid"]
    assert dict(ga.sent) == {"v": "1", "tid": "UA-XXXXXX-Y", "t": "pageview", "cid": cid, **PARAMS}
    assert uuid.UUID(cid).version == 4


def test_a_client_or_user_id_is_not_replaced() -> None:
    ga = Seam("UA-XXXXXX-Y")
    ga.event({"ec": "c", "ea": "a", "cid": "123.456"})
    assert ga.sent["cid"] == "123.456"
    ga.track_hit("event", {"ec": "c", "ea": "a", "uid": "u"})
    assert "cid" not in ga.sent


def test_it_sends_what_it_is_given(requests_mock: rm.Mocker) -> None:
    requests_mock.post(COLLECT, content=b"GIF89a", headers={"content-type": "image/gif"})
    ga = Provider("UA-XXXXXX-Y")
    assert ga.pageview(PARAMS) is True
    assert requests_mock.last_request is not None
    wire = {key: values[0] for key, values in parse_qs(requests_mock.last_request.text).items()}
    assert {key: wire[key] for key in PARAMS} == PARAMS
    assert (wire["v"], wire["tid"], wire["t"]) == ("1", "UA-XXXXXX-Y", "pageview")
    assert ga.stats()["unconfirmed"] == 1
    assert ga.flush(1)


@pytest.mark.parametrize(
    "weather", [{"status_code": 500}, {"exc": requests.ConnectionError}, {"exc": requests.Timeout}]
)
def test_failures_are_noticed_and_silent_unless_asked(requests_mock: rm.Mocker, weather: dict[str, Any]) -> None:
    requests_mock.post(COLLECT, **weather)
    quiet = Provider("UA-XXXXXX-Y")
    assert quiet.pageview(PARAMS) is False
    assert quiet.stats()["dropped"] == 1
    with pytest.raises(DeliveryError):
        Provider("UA-XXXXXX-Y", fail_silently=False).pageview(PARAMS)


def test_client_ids_are_stable_for_a_secret_and_unique_without() -> None:
    assert generate_client_id("my-secret$12.34.56.78$ua") == generate_client_id("my-secret$12.34.56.78$ua")
    assert generate_client_id("a") != generate_client_id("b")
    assert generate_client_id() != generate_client_id()
    assert generate_client_id("a", key="site") != generate_client_id("a")


def test_a_ga4_id_works_too(requests_mock: rm.Mocker) -> None:
    requests_mock.post("https://www.google-analytics.com/mp/collect", status_code=204)
    ga = Provider("G-XXXXXXX", api_secret="s3cret-value")
    assert ga.pageview(PARAMS) is True
    assert requests_mock.last_request is not None
    assert requests_mock.last_request.json()["events"][0]["name"] == "page_view"
