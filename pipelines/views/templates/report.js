// The report's browser of solutions. Texts were written by models: they go into the page as textContent, never as markup.
"use strict";
const ROW = 58, AROUND = 8; // height of a row in pixels; rows drawn above and below what is seen
const $ = id => document.getElementById(id);
const filters = ["search", "verdict", "generator", "pit", "problem", "sort"].map($);
const FORMULA = new RegExp($("data").dataset.formula, "g"), MATHML = "http://www.w3.org/1998/Math/MathML";
const trees = new Map(); // formulas with their delimiters, as MathML that was made when the report was written
let solutions = [], problems = [], view = [], selected = -1;

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function mathml([tag, attributes, inner]) {
  const element = document.createElementNS(MATHML, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...(typeof inner === "string" ? [inner] : inner.map(mathml)));
  return element;
}

function formula(source) {
  const element = make("span", "tex");
  element.title = source;
  element.append(mathml(trees.get(source)), make("code", "", source));
  return element;
}

// An element with a text whose formulas are shown as mathematics
function written(tag, className, text) {
  const element = make(tag, className);
  let at = 0;
  for (const found of text.matchAll(FORMULA)) {
    if (!trees.has(found[0])) continue;
    element.append(text.slice(at, found.index), formula(found[0]));
    at = found.index + found[0].length;
  }
  element.append(text.slice(at));
  return element;
}

// A gold answer or another bare formula
function bare(label, text) {
  const element = make("span", "", `${label} `);
  element.append(trees.has(`$${text}$`) ? formula(`$${text}$`) : text);
  return element;
}

async function unpack() {
  const bytes = Uint8Array.from(atob($("data").textContent), letter => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  for (const line of (await new Response(stream).text()).split("\n")) {
    if (!line) continue;
    const row = JSON.parse(line);
    if (row.kind === "formula") trees.set(row.source, row.tree);
    else (row.kind === "problem" ? problems : solutions).push(row);
  }
  $("data").remove();
  solutions.forEach((row, number) => {
    row.number = number;
    if (!row.steps) return;
    row.text = row.steps.map(step => step.text).join("");
    row.pit = row.steps.findIndex(step => step.pit);
    row.worst = Math.min(...row.steps.map(step => step.advantage ?? 0));
  });
}

// Which solutions are seen

function pitFits(row, wanted) {
  if (!wanted) return true;
  if (!row.steps) return wanted === "unvalued";
  if (row.pit < 0) return wanted === "none";
  const at = row.pit / Math.max(1, row.steps.length - 1);
  return wanted === "some" || (wanted === "first" && row.pit === 0) || (wanted === "early" && at < 1 / 3) ||
    (wanted === "middle" && at >= 1 / 3 && at <= 2 / 3) || (wanted === "late" && at > 2 / 3);
}

const ORDERS = {
  run: (a, b) => a.number - b.number,
  worst: (a, b) => (a.worst ?? 9) - (b.worst ?? 9) || a.number - b.number,
  long: (a, b) => b.text.length - a.text.length || a.number - b.number,
  problem: (a, b) => a.problem - b.problem || a.number - b.number,
};

function haystack(row) {
  return row.words ??= `${problems[row.problem].text}\n${row.text}\n${row.answer ?? ""}`.toLowerCase();
}

function apply() {
  const [words, verdict, generator, pit, problem, sort] = filters.map(filter => filter.value.trim());
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean), current = view[selected];
  const ofProblem = row => !problem || String(row.problem + 1) === problem ||
    (problem.length > 3 && problems[row.problem].id.startsWith(problem.toLowerCase()));
  view = solutions.filter(row => (!verdict || row.verdict === verdict) && (!generator || row.generator === generator) &&
    pitFits(row, pit) && ofProblem(row) && wanted.every(word => haystack(row).includes(word) || (word.length > 5 && row.id.startsWith(word))));
  view.sort(ORDERS[sort]);
  selected = view.indexOf(current);
  $("count").textContent = `${view.length.toLocaleString("en")} of ${solutions.length.toLocaleString("en")} solutions`;
  $("rows").style.height = `${view.length * ROW}px`;
  if (selected < 0) choose(0, false, false); // the first one that fits is open beside the list
  else $("list").scrollTop = selected * ROW;
  draw();
}

// The list: only the rows that can be seen are in the page

function tone(element, advantage) {
  const strength = Math.min(1, Math.abs(advantage ?? 0));
  if (strength < 0.05) return;
  element.style.setProperty("--tone", advantage < 0 ? "var(--bad)" : "var(--good)");
  element.style.setProperty("--deep", `${Math.round(6 + 24 * strength)}%`);
}

function rowOf(row, index) {
  const element = make("div", `row ${row.verdict}`), meta = make("div", "meta");
  element.dataset.index = index;
  element.setAttribute("role", "option");
  element.setAttribute("aria-selected", index === selected);
  element.style.top = `${index * ROW}px`;
  element.append(make("p", "", problems[row.problem].text), meta);
  meta.classList.add(row.verdict);
  meta.append(make("i", "dot"), make("span", "", row.verdict), make("span", "", row.generator));
  if (row.answer !== undefined) meta.append(make("span", "", `→ ${row.answer}`.slice(0, 24)));
  if (row.steps) {
    const strip = make("span", "strip");
    for (const step of row.steps.slice(0, 16)) {
      const mark = make("i", step.pit ? "pit" : "");
      tone(mark, step.advantage);
      if (mark.style.getPropertyValue("--tone")) {
        mark.style.background = `color-mix(in srgb, var(--tone) ${30 + 70 * Math.min(1, Math.abs(step.advantage))}%, var(--soft))`;
      }
      strip.append(mark);
    }
    meta.append(strip);
  }
  return element;
}

function draw() {
  const list = $("list"), from = Math.max(0, Math.floor(list.scrollTop / ROW) - AROUND);
  const to = Math.min(view.length, Math.ceil((list.scrollTop + list.clientHeight) / ROW) + AROUND);
  $("rows").replaceChildren(...view.slice(from, to).map((row, at) => rowOf(row, from + at)));
}

function choose(index, open = true, address = true) {
  if (!view.length) return;
  selected = Math.max(0, Math.min(view.length - 1, index));
  const list = $("list"), top = selected * ROW;
  if (top < list.scrollTop) list.scrollTop = top;
  if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
  draw();
  show(view[selected], address);
  if (open) document.body.classList.add("open");
}

// One solution

function gauge(step) {
  const bar = make("div", "gauge"), interval = make("i"), at = make("u");
  interval.style.left = `${100 * (step.low ?? step.q)}%`;
  interval.style.width = `${100 * ((step.high ?? step.q) - (step.low ?? step.q))}%`;
  at.style.left = `${100 * step.q}%`;
  bar.append(interval, at);
  return bar;
}

function stepOf(step, index) {
  const element = make("div", step.pit ? "step pit" : "step"), left = make("div"), right = make("div", "values");
  tone(element, step.advantage);
  if (step.pit) left.append(make("span", "pitmark", "first pit"));
  left.append(written("pre", "", step.text.replace(/\n+$/, "")));
  if (step.q !== null && step.q !== undefined) {
    const sign = step.advantage === null ? "" : `${step.advantage < 0 ? "−" : "+"}${Math.abs(step.advantage).toFixed(2)}`;
    right.append(make("b", "", sign), gauge(step), make("span", "", step.rollouts
      ? `q ${step.q.toFixed(2)}, ${step.successes}/${step.rollouts} rollouts` : `q ${step.q.toFixed(2)}, by verdict`));
  }
  element.setAttribute("aria-label", `step ${index + 1}`);
  element.append(left, right);
  return element;
}

function show(row, address) {
  const problem = problems[row.problem], detail = $("detail"), facts = make("div", "facts");
  const close = make("button", "", "Back to the list");
  close.id = "close";
  close.onclick = shut;
  facts.append(make("span", row.verdict, row.verdict));
  facts.append(bare("gold", problem.gold));
  if (row.answer !== undefined) facts.append(bare("answer", row.answer));
  const told = [row.generator, row.method,
    row.reason && row.reason.replaceAll("_", " "), row.soundness && `reasoning ${row.soundness}`,
    row.tokens !== undefined && `${row.tokens} tokens`, problem.level && `level ${problem.level}`, problem.subject,
    row.survivor && "duplicate", `problem ${row.problem + 1}`, row.id.slice(0, 12)];
  for (const fact of told) if (fact) facts.append(make("span", "", fact));
  const parts = row.steps ? row.steps.map(stepOf) : [written("pre", "plain", row.text)];
  const same = make("button", "", "All solutions of this problem (p)");
  same.onclick = () => ofProblem(row);
  detail.replaceChildren(close, written("h3", "", problem.text), facts, ...parts);
  if (row.steps) {
    const legend = make("p", "legend");
    legend.append("hurts", make("i"), "helps; the bar is q with its 95% interval");
    detail.append(legend);
  }
  detail.append(same);
  detail.scrollTop = 0;
  if (address) history.replaceState(null, "", `#solution=${row.id}`);
}

function shut() {
  document.body.classList.remove("open");
  $("list").focus();
}

function ofProblem(row) {
  $("problem").value = String(row.problem + 1);
  document.body.classList.remove("open");
  apply();
}

// What the reader does

function move(by) {
  choose(selected + by, document.body.classList.contains("open"));
  document.querySelector(".panes").scrollIntoView({block: "nearest"});
}

function key(event) {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement?.tagName ?? "");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") {
    document.activeElement?.blur();
    shut();
  } else if (typing) {
    if (event.key === "Enter") { event.preventDefault(); $("list").focus(); choose(0, false); }
  } else if (event.key === "/") {
    event.preventDefault();
    $("search").focus();
    $("browser").scrollIntoView();
  } else if (event.key === "j" || (event.key === "ArrowDown" && document.activeElement === $("list"))) {
    event.preventDefault();
    move(1);
  } else if (event.key === "k" || (event.key === "ArrowUp" && document.activeElement === $("list"))) {
    event.preventDefault();
    move(-1);
  } else if (event.key === "Enter" && document.activeElement === $("list")) {
    choose(Math.max(0, selected));
  } else if (event.key === "m") {
    document.body.classList.toggle("source");
  } else if (event.key === "p" && view[selected]) {
    ofProblem(view[selected]);
  }
}

function point(event) {
  const mark = event.target.closest?.("[data-tip]"), tip = $("tip");
  tip.hidden = !mark;
  if (!mark) return;
  tip.textContent = mark.dataset.tip;
  const right = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
  tip.style.left = `${Math.max(8, right)}px`;
  tip.style.top = `${Math.max(8, event.clientY - tip.offsetHeight - 12)}px`;
}

async function start() {
  document.addEventListener("pointermove", point);
  document.addEventListener("pointerdown", point);
  try {
    await unpack();
  } catch (error) {
    $("count").textContent = `The solutions cannot be unpacked: ${error.message}`;
    return;
  }
  for (const filter of filters) filter.addEventListener(filter.tagName === "SELECT" ? "change" : "input", apply);
  const form = document.querySelector(".filters");
  form.addEventListener("submit", event => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  $("list").addEventListener("scroll", () => requestAnimationFrame(draw));
  $("list").addEventListener("click", event => {
    const row = event.target.closest(".row");
    if (row) choose(Number(row.dataset.index));
  });
  addEventListener("resize", draw);
  document.addEventListener("keydown", key);
  for (const button of document.querySelectorAll("[data-problem]")) {
    button.onclick = () => {
      $("problem").value = button.dataset.problem;
      apply();
      $("browser").scrollIntoView();
    };
  }
  apply();
  const linked = solutions.findIndex(row => location.hash === `#solution=${row.id}`);
  if (linked >= 0) choose(linked);
  document.documentElement.dataset.ready = "yes";
}

start();
