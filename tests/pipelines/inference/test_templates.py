"""Templates of strangers are rendered in bounds of time, memory and length; their process sees no key and is ended."""

import os
import subprocess
import sys
import time

import pytest
import yaml
from helpers.commands import command
from helpers.runs import SMALL

from stepforge.builders.errors import UserError
from stepforge.pipelines.inference import templates
from stepforge.pipelines.inference.templates import CannotRender, Worker, render_chat, render_template

ENDLESS = "{{ 'a' * 3000000000 }}"
LOOPS = "".join(f"{{% for {name} in range(9999) %}}" for name in "abc") + "{% endfor %}" * 3


def rendered(template: str, **values: object) -> str:
    return render_template("prompt", template, "`problem` alone", **({"problem": "2?"} | values))


@pytest.mark.parametrize(("template", "says"), [
    ("{{ 'a' * 3000000000 }}{{ problem }}", "memory"), ("{{ problem | center(3000000000) }}", "memory"),
    ("{{ '%3000000000d' % 1 }}{{ problem }}", "memory|overflow|too large"),
    ("{% for a in range(99999) %}{{ problem * 999 }}{% endfor %}", "more than 4,000,000 characters"),
    ("{{ problem }}" + "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}", "deep|ended|too many"),
    (LOOPS + "{{ problem }}", "too much time"), ("{{ range(10 ** 9) | list }}", "Range too big|memory"),
])
def test_a_template_without_end_is_given_up_in_one_line(template, says):
    with pytest.raises(UserError, match=f"prompt: the template cannot be rendered: .*({says})") as refused:
        rendered(template)
    assert "\n" not in str(refused.value)
    assert rendered("{% if problem %}{{ problem }}{% endif %}") == "2?"  # the next one is rendered again


def test_a_chat_template_without_end_is_given_up():
    with pytest.raises(CannotRender, match="memory"):
        render_chat("{{ 'a' * 3000000000 }}", [{"role": "user", "content": "2?"}], {}, "2024-07-26")


def test_a_rendering_that_no_clock_of_its_process_ends_is_ended_by_ours():
    worker = Worker()
    with pytest.raises(CannotRender, match=r"more than 0\.5 s"):
        worker.ask({"template": LOOPS, "values": {}}, 0.5)
    assert worker.ask({"template": "{{ 1 }}", "values": {}}, 60) == "1"
    worker.stop()


def test_an_interrupted_rendering_leaves_no_text_for_the_next_one(monkeypatch):
    worker, whole = Worker(), templates._read_line

    def interrupted(descriptor, wait_s):
        raise KeyboardInterrupt

    monkeypatch.setattr(templates, "_read_line", interrupted)
    with pytest.raises(KeyboardInterrupt):
        worker.ask({"template": "first", "values": {}}, 60)
    monkeypatch.setattr(templates, "_read_line", whole)
    assert worker.ask({"template": "second", "values": {}}, 60) == "second"
    worker.stop()


@pytest.fixture(scope="module")
def worker():
    process = Worker()
    yield process
    process.stop()


@pytest.mark.parametrize("template", [
    "{{ problem }}", "Q: {{problem}}\n\nA: {{ problem }}\n", "a }} b #} {{ problem }}", "{{ problem }}\r\n",
    "{{- problem }}"])
@pytest.mark.parametrize("problem", ["{{ 7 * 7 }}", "{% raw %}", "\\1 \ud800 \u2028", "a\r\nb", ""])
def test_a_template_that_names_its_variables_alone_gives_what_jinja_gives(worker, template, problem):
    expected = worker.ask({"template": template, "values": {"problem": problem}}, 60)
    assert rendered(template, problem=problem) == expected


def test_the_process_that_renders_sees_no_key_and_ends_with_its_parent(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-tests")
    worker = Worker()
    worker.ask({"template": "{{ 1 }}", "values": {}}, 60)
    pid = worker._process.pid
    assert b"sk-of-the-tests" not in open(f"/proc/{pid}/environ", "rb").read()
    worker.stop()
    assert not os.path.exists(f"/proc/{pid}")
    code = ("from stepforge.pipelines.inference import templates as t\nimport os\n"
            "t.ask_worker({'template': '{{ 1 }}', 'values': {}})\n"
            "print(t._WORKER._process.pid, flush=True)\nos._exit(1)")
    pid = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stdout.strip()
    deadline = time.monotonic() + 30
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not os.path.exists(f"/proc/{pid}")


@pytest.mark.parametrize("place", ["prompt", "judge"])
def test_plan_of_a_strangers_recipe_ends(tmp_path, place):
    recipe = dict(SMALL)
    if place == "prompt":
        recipe["generators"] = [SMALL["generators"][0] | {"prompt": ENDLESS + "{{ problem }}"}]
    else:
        recipe["judge"] = SMALL["judge"] | {"prompt": ENDLESS + "{{ steps }}"}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(recipe))
    done = command("plan", "r.yaml", cwd=tmp_path)
    assert done.returncode == 2 and "the template cannot be rendered" in done.stderr.splitlines()[-1], done.stderr
