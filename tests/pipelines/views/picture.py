"""python tests/pipelines/views/picture.py RUN/report.html OUT.png [--dark] [--phone]

A picture of a report, as its reader sees it: the README's `cards/report.png` is one. Needs Debian's Chromium.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from selenium.webdriver.support.ui import WebDriverWait

sys.path.insert(0, str(Path(__file__).parents[2]))
from helpers.browser import chromium  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--at", default="", help="id of the section that it begins with")
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--phone", action="store_true")
    options = parser.parse_args()
    width, height = (390, 844) if options.phone else (1180, 860)
    with tempfile.TemporaryDirectory() as profile, chromium(Path(profile)) as page:
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": options.phone})
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
            {"name": "prefers-color-scheme", "value": "dark" if options.dark else "light"}]})
        page.get(options.report.resolve().as_uri())
        WebDriverWait(page, 60).until(lambda d: d.execute_script("return document.documentElement.dataset.ready"))
        page.execute_script("choose(0, false); document.getElementById(arguments[0])?.scrollIntoView()", options.at)
        page.save_screenshot(str(options.out))


if __name__ == "__main__":
    main()
