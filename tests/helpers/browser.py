"""A real Chromium for tests: Debian's package, installed where that can be done, else the tests are skipped."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

CHROMIUM, DRIVER = "/usr/bin/chromium", "/usr/bin/chromedriver"
# No sandbox: tests run as root in CI. The others keep Chromium from calling home.
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic",
           "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
           "--hide-scrollbars", "--force-color-profile=srgb")


def install() -> None:
    """Debian's packages `chromium` and `chromium-driver`, unless they are there; skips the test where that fails."""
    if Path(CHROMIUM).exists() and Path(DRIVER).exists():
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        pytest.skip("needs Debian's packages chromium and chromium-driver, which only root can install")
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "chromium",
                                        "chromium-driver"]):
        done = subprocess.run(["apt-get", *command], capture_output=True, text=True, check=False,
                              env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
        if done.returncode:
            pytest.skip(f"apt-get {command[0]} failed: {done.stderr[-200:]}")


@contextmanager
def chromium(profile: Path, width: int = 1280, height: int = 900) -> Iterator[webdriver.Chrome]:
    """A browser with a profile of its own, that keeps what pages write to their console."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in (*OPTIONS, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options, Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()
