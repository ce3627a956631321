"""Make the pictures of the inspector in ``docs/_static``; needs chromium and selenium."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

from analytical.cli import demo
from analytical.inspector import Inspector

STATIC = Path(__file__).parent / "_static"
LARGEST = 300_000


def main() -> None:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        sys.exit("chromium and chromedriver are needed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    with tempfile.TemporaryDirectory() as profile:
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                         "--disable-background-networking", "--disable-component-update", "--disable-sync",
                         "--hide-scrollbars", f"--user-data-dir={profile}"):  # fmt: skip
            options.add_argument(argument)
        browser = webdriver.Chrome(options=options, service=Service(driver))
        try:
            with Inspector(8765) as inspector:
                fill(inspector)
                for name, scheme, width, height, action in (
                    ("inspector-light", "light", 1200, 760, "li.hit:nth-child(2)"),
                    ("inspector-dark", "dark", 1200, 760, "li.hit:nth-child(1)"),
                    ("inspector-phone", "light", 390, 760, ""),
                ):
                    shoot(browser, inspector.url, name, scheme, width, height, action)
        finally:
            browser.quit()


def fill(inspector: Inspector) -> None:
    """Have the demo's site visited, and one event with a fault in it sent."""
    with demo._providers(inspector.url) as providers, demo._site(providers, 0) as site:
        demo._visit(site)
        providers.flush(15)
    event = {"client_id": "1.1", "events": [{"name": "checkout_finished_with_a_very_long_name_indeed", "params": {}}]}
    faulty = urllib.request.Request(
        f"{inspector.url}/mp/collect?measurement_id=G-DEMO12345&api_secret=demo-secret", json.dumps(event).encode()
    )
    urllib.request.urlopen(faulty).close()


def shoot(browser: Any, url: str, name: str, scheme: str, width: int, height: int, action: str) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    browser.get(url)
    wait = WebDriverWait(browser, 10)
    wait.until(lambda _: len(browser.find_elements("css selector", "li.hit")) > 10)
    if action:
        browser.find_element("css selector", action).click()
        wait.until(lambda _: browser.find_element("css selector", "#d-method").text)
    target = STATIC / f"{name}.png"
    target.write_bytes(browser.get_screenshot_as_png())
    if target.stat().st_size > LARGEST:
        sys.exit(f"{target.name} has {target.stat().st_size} bytes; a picture has at most {LARGEST}")


if __name__ == "__main__":
    STATIC.mkdir(exist_ok=True)
    main()
