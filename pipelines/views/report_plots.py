"""Plots of the report as SVG that lives in the page: its text is text, its colours are the page's, light or dark.

In: rows of `measures` and of a comparison, positions of pits, advantages. Out: SVG elements to be put into HTML as
they are. matplotlib draws them in colours that stand for the page's variables; `_for_page` puts the variables in their
place. What a mark means is in its `data-tip`, which the page shows when it is pointed at.
"""

import re
from collections.abc import Callable, Sequence
from html import escape
from io import StringIO
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

COLORS = ("#a00001", "#a00002", "#a00003", "#a00004", "#a00005", "#a00006")
INK, MUTED, LINE, BAD = "#b00001", "#b00002", "#b00003", "#b00004"
_VARIABLES = {**{color: f"var(--c{i})" for i, color in enumerate(COLORS)},
              INK: "var(--ink)", MUTED: "var(--muted)", LINE: "var(--line)", BAD: "var(--bad)"}
_STYLE = {"svg.fonttype": "none", "svg.hashsalt": "report", "font.size": 10, "text.color": INK,
          "axes.labelcolor": MUTED, "xtick.color": MUTED, "ytick.color": MUTED, "axes.edgecolor": LINE,
          "axes.facecolor": "none", "figure.facecolor": "none", "text.parse_math": False}
_SIZE, _WIDE = (4.4, 2.9), (6.7, 2.9)  # inches: a third and half of the page, so that letters are of one size
Tips = dict[str, str]


def curves(name: str, rows: Sequence[dict[str, Any]], measure: str, label: str, order: Sequence[str],
           at: str = "k", x_label: str = "samples k") -> str:
    """Values of a measure over the column `at`, with 95% bands; generators have the colours of their places."""

    def draw(axes: Axes, tips: Tips) -> None:
        for number, generator in enumerate(order):
            curve = sorted((row for row in rows if (row["generator"], row["measure"]) == (generator, measure)),
                           key=lambda row: row[at])
            if curve:
                _curve(axes, tips, curve, at, COLORS[number % len(COLORS)])
        ticks = _apart(sorted({row[at] for row in rows if row["measure"] == measure}))
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.set_xticks([], minor=True)
        axes.set_ylim(0, 1.03 if measure == "coverage" else None)
        axes.set_xlabel(x_label)
        axes.legend(frameon=False, loc="lower right" if measure == "coverage" else "upper left", fontsize=9)

    return _svg(name, draw, f"{label} over {x_label}")


def pits(name: str, positions: Sequence[float]) -> str:
    """How far into a solution its first pit lies: 0 is the first step, 1 the last."""

    def draw(axes: Axes, tips: Tips) -> None:
        counts, edges, bars = axes.hist(positions, bins=10, range=(0, 1), color=COLORS[0], rwidth=0.92)
        _tip_bars(bars, tips, [f"{low:.0%} to {high:.0%} of the way: {count:,.0f} first pits"
                               for count, low, high in zip(counts, edges, edges[1:], strict=False)])
        axes.set(xlabel="position of the first pit (0 first step, 1 last)", ylabel="solutions")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))

    return _svg(name, draw, f"First pits of {len(positions)} incorrect solutions", _WIDE)


def advantages(name: str, others: Sequence[float], at_pits: Sequence[float], rollouts: int | None) -> str:
    """Advantages of all valued steps, first pits apart; bins have their centres on what n rollouts can give."""
    edges = bins(rollouts)
    width = edges[1] - edges[0]

    def draw(axes: Axes, tips: Tips) -> None:
        below = np.zeros(len(edges) - 1)
        for values, color, label in ((others, COLORS[0], "other steps"), (at_pits, BAD, "first pits")):
            counts, _ = np.histogram(values, edges)
            bars = axes.bar(edges[:-1] + width / 2, counts, 0.92 * width, below, color=color, label=label)
            _tip_bars(bars, tips, [f"advantage {low:+.2f} to {high:+.2f}: {count:,} {label}"
                                   for count, low, high in zip(counts, edges, edges[1:], strict=False)])
            below = below + counts
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.set(xlabel="advantage of a step", ylabel="steps")
        axes.legend(frameon=False, loc="upper left", fontsize=9)

    return _svg(name, draw, f"Advantages of {len(others) + len(at_pits)} steps", _WIDE)


def bins(rollouts: int | None) -> np.ndarray:
    """Edges of about 20 bins from -1 to 1. With n rollouts all advantages are multiples of 1/n, so the centres are."""
    half = max(1, round(rollouts / 10)) / rollouts if rollouts else 0.1  # a bin, a few multiples of 1/n wide
    count = int(np.ceil(1 / half - 1e-9))
    return (np.arange(-count, count + 2) - 0.5) * half


def _curve(axes: Axes, tips: Tips, rows: list[dict[str, Any]], at: str, color: str) -> None:
    xs, ys, label = [row[at] for row in rows], [row["value"] for row in rows], rows[0]["generator"]
    axes.plot(xs, ys, color=color, linewidth=1.8, marker="o", markersize=4, label=f" {label}")
    low, high = ([row["value"] if row[end] is None else row[end] for row in rows] for end in ("low", "high"))
    axes.fill_between(xs, low, high, color=color, alpha=0.15, linewidth=0)
    for x, y, bottom, top, row in zip(xs, ys, low, high, rows, strict=True):
        tip = f"tip-{len(tips)}"
        tips[tip] = f"{label}: {y:.3f} ({bottom:.3f} to {top:.3f}) with {row['k']} samples, {row['n']:,} problems"
        axes.plot([x], [y], "o", color=color, markersize=13, alpha=0, gid=tip)  # unseen, but easy to point at


def _tip_bars(bars: Any, tips: Tips, texts: list[str]) -> None:
    for bar, text in zip(bars, texts, strict=True):
        tip = f"tip-{len(tips)}"
        tips[tip] = text
        bar.set_gid(tip)


def _apart(ticks: list[float]) -> list[float]:
    """Ticks that do not run into each other on a logarithmic axis."""
    kept: list[float] = []
    for tick in reversed(ticks):
        if not kept or kept[-1] / tick > 1.35:
            kept.append(tick)
    return kept[::-1]


def _svg(name: str, draw: Callable[[Axes, Tips], None], title: str, size: tuple[float, float] = _SIZE) -> str:
    tips: Tips = {}
    with rc_context(_STYLE):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        draw(axes, tips)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color=LINE, linewidth=0.6)
        axes.tick_params(length=0)
        axes.set_axisbelow(True)
        text = StringIO()
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None, "Creator": None})
    return _for_page(name, text.getvalue(), tips, title)


def _for_page(name: str, svg: str, tips: Tips, title: str) -> str:
    """Only the element itself; variables for colours, ids that no other plot has, and the words behind each mark."""
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg"):], flags=re.S)
    svg = re.sub(r'<svg[^>]*?viewBox="([^"]*)"[^>]*>',
                 rf'<svg xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="\1" role="img" '
                 rf'aria-label="{escape(title)}">', svg, count=1, flags=re.S)
    for tip, text in tips.items():
        svg = svg.replace(f'id="{tip}"', f'data-tip="{escape(text)}"')
    svg = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 system-ui, sans-serif", svg)
    return re.sub("|".join(_VARIABLES), lambda match: _VARIABLES[match[0]], svg)
