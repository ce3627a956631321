"""The inspector's page in a real headless Chromium: hostile hits, live updates, filters, keyboard, a phone's width."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from services import need_browser

from analytical.http import Request
from analytical.inspector import Inspector

HOSTILE = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    chromium, chromedriver = need_browser()
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    folder = tmp_path_factory.mktemp("browser")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--disable-default-apps", f"--user-data-dir={folder / 'profile'}", "--window-size=1280,800",
    ):  # fmt: skip
        options.add_argument(argument)
    options.add_experimental_option("prefs", {"download.default_directory": str(folder)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    made = webdriver.Chrome(options=options, service=Service(chromedriver))
    made.downloads = folder  # type: ignore[attr-defined]
    yield made
    made.quit()


class Page:
    """The page, as a person uses it."""

    def __init__(self, driver: Any, inspector: Inspector) -> None:
        self.driver = driver
        self.inspector = inspector

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)  # type: ignore[no-any-return]

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def until(self, said: Callable[[], Any]) -> Any:
        from selenium.common.exceptions import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(
            self.driver, 10, poll_frequency=0.05, ignored_exceptions=[StaleElementReferenceException]
        ).until(lambda _: said())

    def names(self) -> list[str]:
        return [item.text for item in self.all("#list .hit .name")]

    def press(self, keys: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(keys).perform()

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]


def send(inspector: Inspector, title: str, *, provider: str = "plausible", kind: str = "pageview") -> None:
    """Have a hit arrive, through the same reading as one from the network."""
    if provider == "plausible":
        name = "pageview" if kind == "pageview" else title
        body = {"name": name, "url": f"https://example.com/{title}", "domain": "example.com"}
        request = Request(url=f"{inspector.url}/api/event", body=json.dumps(body).encode(), headers={"User-Agent": "x"})
    else:
        text = f"idsite=1&rec=1&action_name={title}&url=https://example.com/{title}"
        request = Request(url=f"{inspector.url}/matomo.php", body=text.encode(), headers={})
    reading = inspector.protocols.read(request)
    assert reading.hits
    inspector.record(request, reading, target=request.url, status=200)


@pytest.fixture
def page(driver: Any) -> Iterator[Page]:
    with Inspector() as inspector:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        driver.get(f"{inspector.url}/")
        shown = Page(driver, inspector)
        shown.until(lambda: shown.one("#state").get_attribute("data-state") == "live")
        shown.complaints()
        yield shown
        driver.get("about:blank")


def test_an_empty_page_says_what_to_do(page: Page) -> None:
    assert page.inspector.url in page.one("#sample").text
    assert page.complaints() == []


def test_hits_appear_by_themselves_newest_first(page: Page) -> None:
    send(page.inspector, "first")
    page.until(lambda: len(page.names()) == 1)
    send(page.inspector, "second")
    page.until(lambda: len(page.names()) == 2)
    assert page.names()[0].endswith("second")


def test_a_hostile_hit_is_only_text(page: Page) -> None:
    for provider in ("matomo", "plausible"):
        send(page.inspector, HOSTILE, provider=provider)
    page.until(lambda: len(page.names()) == 2)
    for item in page.all("#list .hit"):
        item.click()
        page.until(lambda: page.one("#d-method").text == "POST")
        for button in ("#exact", "#pretty"):
            page.one(button).click()
    assert HOSTILE[:20] in page.one("main").text
    assert page.all("main img, main script, main iframe, main a") == []
    assert page.driver.title.startswith("Inspector")
    assert page.complaints() == []


def test_markup_that_got_in_by_force_could_run_nothing(page: Page) -> None:
    script = (
        "try { document.body.innerHTML = '<img src=x onerror=alert(1)>'; return 'ran' } catch (e) { return e.name }"
    )
    assert page.driver.execute_script(script) == "TypeError"


def test_a_hit_shows_its_fields_its_keys_and_its_request(page: Page) -> None:
    send(page.inspector, "Tea", provider="matomo")
    page.until(lambda: "Tea" in page.one("#d-title").text)
    page.until(lambda: "action_name = Tea" in page.one("#d-body").text)
    assert "https://example.com/Tea" in page.one("#d-fields").text
    assert "action_name" in page.one("#d-native").text
    page.one("#exact").click()
    assert page.one("#d-body").text.startswith("idsite=1&rec=1&action_name=Tea")


def test_what_the_gate_did_stands_beside_the_hit(page: Page) -> None:
    import analytical

    with analytical.Provider("plausible", "example.com", endpoint=page.inspector.url) as provider:
        explained = provider.explain(
            "pageview", url="https://example.com/?email=a%40b.example", client_ip="203.0.113.9"
        )
    page.inspector.show(explained[0], receipts=explained.receipts)
    page.until(lambda: page.all("#d-receipts tbody tr"))
    rows = [[cell.text for cell in row.find_elements("css selector", "td")] for row in page.all("#d-receipts tbody tr")]
    assert ["client_ip", "text, 11 characters", "mask-address", "203.0.0.0"] in rows
    assert "203.0.113.9" not in page.driver.page_source


def test_filters_by_provider_kind_text_and_findings(page: Page) -> None:
    send(page.inspector, "tea", provider="matomo")
    send(page.inspector, "coffee")
    send(page.inspector, "signup", kind="event")
    odd = Request(url=f"{page.inspector.url}/nowhere", body=b"x")
    page.inspector.record(odd, page.inspector.protocols.read(odd), target="/nowhere", status=404)
    page.until(lambda: len(page.names()) == 4)
    page.one("#providers button[data-provider=plausible]").click()
    page.until(lambda: len(page.names()) == 2)
    page.one("#kind option[value=event]").click()
    page.until(lambda: page.names() == ["signup"])
    page.one("#providers button[data-provider='']").click()
    page.one("#kind option[value='']").click()
    page.one("#text").send_keys("coff")
    page.until(lambda: len(page.names()) == 1)
    page.one("#text").send_keys("zzz")
    page.until(lambda: page.one("#nothing").is_displayed())
    page.one("#reset-filters").click()
    page.until(lambda: len(page.names()) == 4)
    page.one("#only").click()
    page.until(lambda: len([item for item in page.all("#list .hit") if "finding" not in item.text]) == 0)
    assert any("unknown" in item.text for item in page.all("#list .hit"))


def test_pausing_holds_back_what_arrives_and_going_on_shows_it(page: Page) -> None:
    send(page.inspector, "before")
    page.until(lambda: len(page.names()) == 1)
    page.one("#pause").click()
    send(page.inspector, "meanwhile")
    page.until(lambda: page.one("#pause").text == "Go on (1)")
    assert len(page.names()) == 1
    page.one("#pause").click()
    page.until(lambda: len(page.names()) == 2)


def test_clearing_forgets_here_and_there(page: Page) -> None:
    send(page.inspector, "gone")
    page.until(lambda: len(page.names()) == 1)
    page.one("#clear").click()
    page.until(lambda: page.one("#empty").is_displayed())
    assert page.inspector.hits() == []


def test_it_downloads_what_the_filters_show(page: Page) -> None:
    send(page.inspector, "tea", provider="matomo")
    send(page.inspector, "coffee")
    page.until(lambda: len(page.names()) == 2)
    page.one("#providers button[data-provider=matomo]").click()
    page.until(lambda: len(page.names()) == 1)
    page.one("#download").click()
    saved: Path = page.driver.downloads / "hits.ndjson"
    page.until(lambda: saved.exists() and saved.stat().st_size)
    (line,) = saved.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["provider"] == "matomo"
    saved.unlink()


def test_everything_works_from_the_keyboard(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    for title in ("one", "two", "three"):
        send(page.inspector, title)
    page.until(lambda: len(page.names()) == 3)
    chosen = page.one("#list [aria-selected=true] .name")
    assert chosen.text.endswith("one") or chosen.text.endswith("three")
    page.press("kk")
    page.until(lambda: page.one("#d-title").text.endswith("three"))
    page.press("j")
    page.until(lambda: page.one("#d-title").text.endswith("two"))
    assert page.one("#list").get_attribute("aria-activedescendant") == page.one("[aria-selected=true]").get_attribute(
        "id"
    )
    page.one("#list").send_keys(Keys.END)
    page.until(lambda: page.one("#d-title").text.endswith("one"))
    page.one("#list").send_keys(Keys.ENTER)
    assert page.driver.switch_to.active_element.get_attribute("id") == "detail"
    page.press(Keys.ESCAPE)
    assert page.driver.switch_to.active_element.get_attribute("id") == "list"
    page.press("f")
    assert page.one("#only").get_attribute("aria-pressed") == "true"
    page.press("f")
    page.press("/")
    page.press("two")
    page.until(lambda: len(page.names()) == 1)
    page.press(Keys.ESCAPE)
    page.until(lambda: len(page.names()) == 3)
    page.press(Keys.ESCAPE)
    page.press("?")
    assert page.one("#help").is_displayed()
    page.press(Keys.ESCAPE)
    page.until(lambda: not page.one("#help").is_displayed())
    page.press("p")
    page.until(lambda: page.one("#state").get_attribute("data-state") == "paused")
    page.press("p")
    page.press("x")
    page.until(lambda: page.one("#empty").is_displayed())


def test_every_control_has_a_name(page: Page) -> None:
    send(page.inspector, "one")
    page.until(lambda: len(page.names()) == 1)
    for control in page.all("button, a, input, select, [tabindex]"):
        if control.is_displayed():
            assert control.accessible_name.strip(), control.get_attribute("outerHTML")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_light_and_dark(scheme: str, page: Page) -> None:
    page.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    for provider in ("matomo", "plausible"):
        send(page.inspector, "one", provider=provider)
    page.until(lambda: len(page.names()) == 2)
    ratios = page.driver.execute_script(CONTRAST)
    assert len(ratios) > 10
    assert [pair for pair in ratios if pair[0] < 4.5] == []
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_phone_shows_one_thing_at_a_time_and_never_scrolls_sideways(page: Page) -> None:
    page.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 800, "deviceScaleFactor": 2, "mobile": True}
    )
    for provider in ("matomo", "plausible"):
        send(page.inspector, "x" * 300, provider=provider)
    page.until(lambda: len(page.names()) == 2)
    wide = "return document.documentElement.scrollWidth > innerWidth"
    assert not page.one("#detail").is_displayed()
    assert not page.driver.execute_script(wide)
    page.all("#list .hit")[0].click()
    page.until(lambda: page.one("#detail").is_displayed())
    assert not page.one("#list").is_displayed()
    page.until(lambda: page.one("#d-method").text == "POST")
    assert not page.driver.execute_script(wide)
    page.one("#back").click()
    page.until(lambda: page.one("#list").is_displayed())


#: The contrast of every visible piece of text with what lies behind it (https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio).
CONTRAST = r"""
const rgb = (text) => text.match(/[\d.]+/g).map(Number);
const light = ([r, g, b]) => {
  const part = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
const behind = (node) => {
  for (let n = node; n; n = n.parentElement) {
    const found = rgb(getComputedStyle(n).backgroundColor);
    if (found.length < 4 || found[3] === 1) return found;
  }
  return [255, 255, 255];
};
const out = [];
for (const node of document.querySelectorAll("body *")) {
  const own = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
  if (!own || !node.checkVisibility() || node.getBoundingClientRect().width < 2) continue;
  const pair = [light(rgb(getComputedStyle(node).color)), light(behind(node))].sort((a, b) => b - a);
  out.push([(pair[0] + 0.05) / (pair[1] + 0.05), node.className || node.tagName, node.textContent.slice(0, 9)]);
}
return out;
"""
