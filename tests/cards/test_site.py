"""The site: it builds with --strict, needs no other host, and its references hold every option, column and message."""

import ast
import json
import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from importlib import util
from pathlib import Path

import pytest

from stepforge.builders.configs import CONFIGS
from stepforge.builders.opinion_tables import AUDIT_SAMPLES, AUDITS
from stepforge.builders.tables import TABLES
from stepforge.pipelines.options.reference import options_of
from stepforge.pipelines.recipe import Recipe

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "cards/docs"
SCHEMAS = {**{f"config {name}": config.schema for name, config in CONFIGS.items()},
           **{f"table {table.name}": table.schema for table in (*TABLES.values(), AUDIT_SAMPLES, AUDITS)}}
MESSAGES = re.findall(r"^### `(.+)`$", (DOCS / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE)


def load(name):
    spec = util.spec_from_file_location(name, ROOT / f"cards/site/{name}.py")
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages():
    return load("reference").pages()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "-f", "cards/site/mkdocs.yml",
                           "--site-dir", str(folder)], cwd=ROOT, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


class Requests(HTMLParser):
    """Addresses that a browser loads when it opens a page; links that a reader clicks are none."""

    def __init__(self):
        super().__init__()
        self.addresses = []

    def handle_starttag(self, tag, attrs):
        names = dict(attrs)
        loads = tag != "a" and not (tag == "link" and names.get("rel") in ("canonical", "next", "prev"))
        self.addresses += [names[name] for name in ("src", "href", "srcset", "data") if loads and names.get(name)]


def test_no_page_asks_another_host(site):
    seen = 0
    for page in site.rglob("*.html"):
        reader = Requests()
        reader.feed(page.read_text(encoding="utf-8"))
        seen += len(reader.addresses)
        assert not [address for address in reader.addresses if re.match(r"(https?:)?//", address)], page
    assert seen > 50
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import )['\"]?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_every_page_of_the_site_is_reached_by_its_menu(site):
    home = (site / "index.html").read_text(encoding="utf-8")
    for page in site.rglob("*.html"):
        name = page.relative_to(site).as_posix()
        assert name == "404.html" or f'href="{name}"' in home or name == "index.html", name


def test_pictures_are_part_of_their_page(site):
    html = (site / "concepts.html").read_text(encoding="utf-8")
    assert html.count('<svg class="picture"') == len(list((DOCS / "pictures").glob("*.svg"))) == 5


def test_every_option_has_a_sentence_and_a_row_in_the_reference(pages):
    rows = {line for line in pages["reference/options.md"].splitlines() if line.startswith("| `")}
    for option in options_of(Recipe):
        assert option.sentence.strip().endswith("."), f"{option.path} has no sentence"
        name = option.path.rpartition(".")[2]
        assert any(row.startswith(f"| `{name}` |") or f".{name}` |" in row for row in rows), option.path


@pytest.mark.parametrize("where", SCHEMAS)
def test_every_column_has_a_sentence_and_a_row_in_the_reference(pages, where):
    kind, name = where.split()
    heading = f"### {name}\n" if kind == "config" else f"### Table {name}\n"
    section = pages["reference/columns.md"].partition(heading)[2].partition("\n### ")[0]
    for field in SCHEMAS[where]:
        sentence = (field.metadata or {}).get(b"doc", b"").decode()
        assert sentence.endswith("."), f"{where}.{field.name} has no sentence"
        assert f"| `{field.name}` |" in section, f"{where}.{field.name}"


def test_every_command_and_public_name_is_in_the_reference(pages):
    import stepforge

    for command in ("run", "plan", "status", "audit export", "batch import", "train"):
        assert f"## stepforge {command}\n" in pages["reference/commands.md"]
    assert not re.search(r"\| *\|$", pages["reference/commands.md"], re.MULTILINE), "an option without a sentence"
    for name in set(stepforge.__all__) - {"__version__"}:
        section = pages["reference/python.md"].partition(f"## {name}\n")[2].partition("\n## ")[0]
        assert len(section.strip()) > 40, name


@cache
def texts_of_the_code():
    """Every text in the code, with `\0` for what an f-string computes."""
    return [_text(node) for folder in ("builders", "pipelines", "cards", "train")
            for file in (ROOT / folder).rglob("*.py") for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant | ast.JoinedStr)]


def _text(node):
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "\0" for part in node.values)
    return node.value if isinstance(node.value, str) else ""


@pytest.mark.parametrize("message", MESSAGES)
def test_each_message_of_troubleshooting_is_in_the_code(message):
    """`…` stands for what is computed, or for the rest of the message."""
    pattern = re.compile(".*".join(map(re.escape, message.split("…"))), re.DOTALL)
    assert any(pattern.search(text) for text in texts_of_the_code()), message


def test_there_are_messages():
    assert len(MESSAGES) > 25


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(DOCS.glob("notebooks/*.ipynb")), ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path):
    load("notebook").execute(path, tmp_path)


@pytest.mark.parametrize("path", sorted(DOCS.glob("notebooks/*.ipynb")), ids=lambda path: path.stem)
def test_stored_notebook_is_small_text(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert path.stat().st_size < 40_000 and str(ROOT) not in path.read_text(encoding="utf-8")
    assert {output["output_type"] for cell in cells for output in cell.get("outputs", ())} <= {"stream"}
