"""The report in a real Chromium, with 10,000 solutions whose texts attack the reader, clicked through as one would."""

import json
from collections import Counter
from pathlib import Path

import pytest
from helpers.browser import chromium, install
from helpers.runs import execute, rows
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.ui import WebDriverWait

from stepforge.pipelines.views.report import Written, write_report

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
PROBLEMS, SOLUTIONS = 50, 100
ATTACK = "</script><img src=x onerror=\"document.title='owned'\"><svg onload=\"document.title='owned'\">"


def solution(problem: int, number: int) -> str:
    """Half of them right; every tenth one attacks; each has a number of its own, so that none is a duplicate."""
    total = problem + number
    attack = f"{ATTACK}\n" if number % 10 == 0 else ""
    return (f"{attack}There are {problem} pears here, and this is way w{number}. to count them.\n"
            f"Then {problem} + {number} = {total} with those that came.\nSo {total} - {number} = {problem} are left.\n"
            f"The answer is {problem + number % 2}")


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    first = {7: ATTACK, 9: "Let $\\frac{1}{2}$ be half.", 11: "$\\text{<img src=bold>}$"}
    lines = [{"problem": f"{first.get(p, '')} Ann has {p} pears and gives none away. How many are left?",
              "answer": str(p), "one": [solution(p, i) for i in range(SOLUTIONS)],
              "two": [solution(p, i) for i in range(SOLUTIONS, 2 * SOLUTIONS)]} for p in range(PROBLEMS)]
    (folder / "p.jsonl").write_text("\n".join(map(json.dumps, lines)))
    paths = [str(folder / "p.jsonl")]
    recorded = [{"name": name, "engine": "recorded", "paths": paths, "columns": {"solutions": name}}
                for name in ("one", "two")]
    execute({"name": "ten-thousand", "problems": [{"source": "files", "paths": paths}],
             "generators": [*recorded, {"name": "tiny", "engine": "embedded", "samples": 0, "max_tokens": 24}],
             "annotate": {"policy": "tiny", "rollouts": 2, "negatives_per_problem": 1, "positives_per_problem": 0,
                          "alternatives_per_pit": 0, "pit_fall": -1},
             "release": {"configs": ["problems"]}, "executor": {"tasks": 1, "workers": 1}}, folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def written(run) -> Written:
    return write_report(run)


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    install()
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def page(window, written) -> Chrome:
    """The report as it is when it was just opened; afterwards nothing may have been written to the console."""
    window.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    window.get("about:blank")
    window.get(written.path.as_uri())
    WebDriverWait(window, 60).until(lambda d: d.execute_script("return document.documentElement.dataset.ready"))
    yield window
    assert window.get_log("browser") == [] and window.title == "ten-thousand: report"
    assert not window.find_elements(By.TAG_NAME, "img")


def shown(page: Chrome) -> int:
    """The number of solutions that fit the filters, once it has settled."""
    return int(page.find_element(By.ID, "count").text.split()[0].replace(",", ""))


def tone(advantage: float) -> str:
    return "" if abs(advantage) < 0.05 else "var(--good)" if advantage > 0 else "var(--bad)"


def press(page: Chrome, *keys: str) -> None:
    for key in keys:
        page.switch_to.active_element.send_keys(key)


def choose(page: Chrome, element: str, value: str) -> int:
    Select(page.find_element(By.ID, element)).select_by_value(value)
    return shown(page)


def selected(page: Chrome) -> str:
    return page.find_element(By.CSS_SELECTOR, ".row[aria-selected=true]").get_attribute("data-index")


def test_ten_thousand_solutions_open_with_few_rows_in_the_page(page, written, record_property):
    assert written.carried == written.solutions == 2 * PROBLEMS * SOLUTIONS == 10_000 and written.size < 15_000_000
    assert shown(page) == 10_000 and 5 < len(page.find_elements(By.CLASS_NAME, "row")) < 60
    paints = page.execute_script("return performance.getEntriesByType('paint').map(p => [p.name, p.startTime])")
    assert dict(paints)["first-contentful-paint"] > 0
    for name, milliseconds in [*paints, ("megabytes", written.size / 1e6)]:
        record_property(name, milliseconds)


def test_scrolling_brings_other_rows(page):
    page.execute_script("document.getElementById('list').scrollTop = 1e9")
    WebDriverWait(page, 10).until(lambda d: d.find_elements(By.CSS_SELECTOR, ".row[data-index='9999']"))
    assert len(page.find_elements(By.CLASS_NAME, "row")) < 60


def test_filters_count_what_the_tables_hold(page, run):
    verdicts = {row["solution_id"]: row["verdict"] for row in rows(run, "verdicts")}
    expected = Counter((row["generator"], verdicts[row["solution_id"]]) for row in rows(run, "solutions"))
    assert choose(page, "verdict", "incorrect") == expected["one", "incorrect"] + expected["two", "incorrect"] == 5000
    assert choose(page, "generator", "one") == expected["one", "incorrect"]
    page.find_element(By.ID, "problem").send_keys("3")
    assert shown(page) == SOLUTIONS / 2
    page.find_element(By.CSS_SELECTOR, "[type=reset]").click()
    WebDriverWait(page, 10).until(lambda d: shown(d) == 10_000)


def test_pit_positions_part_the_annotated_solutions(page, run):
    pits = [row for row in rows(run, "steps") if row["is_pit"]]
    annotated = {row["solution_id"] for row in rows(run, "steps")}
    assert choose(page, "pit", "some") == len(pits) > 0
    assert sum(choose(page, "pit", part) for part in ("early", "middle", "late")) == len(pits)
    assert choose(page, "pit", "none") == len(annotated) - len(pits)
    assert choose(page, "pit", "unvalued") == 10_000 - len(annotated)


def test_search_finds_every_word_in_any_order(page):
    page.find_element(By.ID, "search").send_keys("W57. pears", Keys.TAB)
    assert shown(page) == PROBLEMS  # one solution of each problem counts the pears in way w57.
    page.find_element(By.ID, "search").send_keys(" nowhere")
    assert shown(page) == 0 and not page.find_elements(By.CLASS_NAME, "row")


def test_keys_move_search_and_go_back(page):
    body = page.find_element(By.TAG_NAME, "body")
    assert selected(page) == "0" and page.find_elements(By.CSS_SELECTOR, "#detail h3")  # the first one is open
    body.send_keys("jj")
    assert selected(page) == "2"
    body.send_keys("k")
    assert selected(page) == "1"
    body.send_keys("j" * 40)
    assert page.find_element(By.CSS_SELECTOR, ".row[aria-selected=true]").is_displayed()  # the list has followed
    body.send_keys("/")
    assert page.switch_to.active_element.get_attribute("id") == "search"
    press(page, "w199.")
    assert page.switch_to.active_element.get_attribute("value") == "w199." and shown(page) == PROBLEMS
    press(page, Keys.ENTER)
    assert selected(page) == "0" and page.switch_to.active_element.get_attribute("id") == "list"
    press(page, Keys.ARROW_DOWN)
    assert selected(page) == "1"
    same = str(page.execute_script("return view[selected].problem + 1"))
    press(page, Keys.ESCAPE, "p")
    assert page.find_element(By.ID, "problem").get_attribute("value") == same and shown(page) == 1


def test_a_solution_opens_with_its_steps_in_colour_and_its_own_address(page, run):
    choose(page, "pit", "some")
    page.find_element(By.CSS_SELECTOR, ".row").click()
    solution_id = page.execute_script("return location.hash").removeprefix("#solution=")
    steps = [row for row in rows(run, "steps") if row["solution_id"] == solution_id]
    texts = [step.text for step in page.find_elements(By.CSS_SELECTOR, "#detail pre")]
    assert texts == [row["step"].rstrip("\n") for row in steps]
    marked = page.find_elements(By.CSS_SELECTOR, "#detail .step.pit")
    assert [row["step"].rstrip("\n") in mark.text for mark, row in zip(marked, filter(lambda r: r["is_pit"], steps),
                                                                       strict=True)] == [True]
    coloured = page.execute_script("return [...document.querySelectorAll('#detail .step')]"
                                   ".map(s => s.style.getPropertyValue('--tone'))")
    assert coloured == [tone(row["advantage"] or 0) for row in steps]
    page.get("about:blank")
    page.back()
    WebDriverWait(page, 60).until(lambda d: d.find_elements(By.CSS_SELECTOR, "#detail .step"))


def test_texts_that_attack_are_shown_as_they_are(page):
    page.find_element(By.ID, "search").send_keys("onerror pears way", Keys.ENTER)
    assert shown(page) == 10_000 / 10 + 2 * SOLUTIONS * 9 / 10  # every tenth solution, and all of one problem
    assert ATTACK in page.find_element(By.ID, "detail").text


def test_formulas_are_mathematics_and_a_key_shows_their_source(page):
    page.find_element(By.ID, "search").send_keys("half.", Keys.ENTER)
    half = page.find_element(By.CSS_SELECTOR, "#detail h3 .tex")
    assert half.find_elements(By.CSS_SELECTOR, "math mfrac") and half.get_attribute("title") == r"$\frac{1}{2}$"
    assert half.find_element(By.TAG_NAME, "math").is_displayed()
    press(page, "m")
    assert not half.find_element(By.TAG_NAME, "math").is_displayed() and half.text == r"$\frac{1}{2}$"


def test_a_hostile_formula_is_text(page):
    page.find_element(By.ID, "search").send_keys("src=bold", Keys.ENTER)
    assert page.find_element(By.CSS_SELECTOR, "#detail h3 mtext").text == "<img src=bold>"


def test_marks_of_a_plot_say_what_they_are(page):
    mark = page.find_element(By.CSS_SELECTOR, "#curves [data-tip]")
    page.execute_script("arguments[0].dispatchEvent(new PointerEvent('pointermove', {bubbles: true}))", mark)
    tip = page.find_element(By.ID, "tip")
    assert tip.is_displayed() and tip.text == mark.get_attribute("data-tip")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_one_pane_at_a_time_in_light_and_dark(page, scheme):
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme",
                                                                      "value": scheme}]})
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 2,
                                                                "mobile": True})
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390
    assert page.execute_script("return [...document.querySelectorAll('.scroll')]"
                               ".every(table => table.scrollWidth <= table.clientWidth)")  # tables fit as well
    ink, paper = (page.execute_script(f"return getComputedStyle(document.body).{name}").strip("rgb()").split(", ")
                  for name in ("color", "backgroundColor"))
    assert (sum(map(int, ink)) > sum(map(int, paper))) == (scheme == "dark")
    detail = page.find_element(By.ID, "detail")
    assert not detail.is_displayed()
    page.execute_script("document.querySelector('.row').click()")
    assert detail.is_displayed()
    page.find_element(By.ID, "close").click()
    assert not detail.is_displayed()
