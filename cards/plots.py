"""Plots of a release: coverage at k with its band, where first pits lie, and how advantages are spread.

In goes a release folder: `measures` of its manifest and its config `steps`. Out come PNG files in its `assets/`, each
only where the release has the data for it. No screen is used, and the same release gives the same bytes.
"""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from stepforge.builders.files import replacing
from stepforge.builders.release import list_files, read_manifest

_COLORS = ("#2563a8", "#c2571a", "#2f7d4f", "#8a3f8f", "#9a7b12", "#5a6470")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_BINS = 20


def draw_plots(folder: Path) -> list[Path]:
    """Draw what the release has data for and return the paths; a plot of an earlier build that has none is removed."""
    manifest = read_manifest(folder)
    steps = _steps(folder)
    coverage = [row for row in manifest.get("measures", [])
                if row["measure"] == "coverage" and row["k"] and row.get("by", "all") == "all"]
    plots: dict[str, Callable[[Figure], None] | None] = {
        "coverage": (lambda figure: _coverage(figure, coverage)) if coverage else None,
        "first_pit": (lambda figure: _first_pit(figure, steps)) if steps and _pits(steps) else None,
        "advantages": (lambda figure: _advantages(figure, steps)) if steps and _valued(steps) else None,
    }
    drawn = []
    for name, draw in plots.items():
        path = folder / "assets" / f"{name}.png"
        if draw is None:
            path.unlink(missing_ok=True)
            continue
        figure = Figure(figsize=(6.4, 3.6), layout="constrained", dpi=150)
        draw(figure)
        with replacing(path) as temporary:
            FigureCanvasAgg(figure).print_png(temporary, metadata={"Software": None})
        drawn.append(path)
    list_files(folder, [f"assets/{name}.png" for name in plots])
    return drawn


def _steps(folder: Path) -> pa.Table | None:
    """The columns of `steps` that plots need, of all splits."""
    paths = sorted((folder / "steps").glob("*.parquet"))
    columns = ["solution_id", "step_index", "advantage", "is_pit"]
    return pa.concat_tables(pq.read_table(path, columns=columns) for path in paths) if paths else None


def _pits(steps: pa.Table) -> int:
    return pc.sum(steps["is_pit"]).as_py() or 0


def _valued(steps: pa.Table) -> int:
    return len(steps) - steps["advantage"].null_count


def _coverage(figure: Figure, rows: list[dict]) -> None:
    axes = figure.subplots()
    ks = sorted({row["k"] for row in rows})
    for index, generator in enumerate(sorted({row["generator"] for row in rows})):
        curve = sorted((row for row in rows if row["generator"] == generator), key=lambda row: row["k"])
        color, at = _COLORS[index % len(_COLORS)], [row["k"] for row in curve]
        axes.plot(at, [row["value"] for row in curve], color=color, marker=_MARKERS[index % len(_MARKERS)],
                  markersize=5, label=_label(generator))
        low, high = ([row["value"] if row[end] is None else row[end] for row in curve] for end in ("low", "high"))
        axes.fill_between(at, low, high, color=color, alpha=0.18, linewidth=0)
    axes.set_xscale("log", base=2)
    axes.set_xticks(ks, [str(k) for k in ks])
    axes.set_xticks([], minor=True)
    axes.set_ylim(0, 1.02)
    axes.set(xlabel="samples k", ylabel="coverage", title="Coverage at k, with 95% intervals")
    axes.legend(frameon=False, loc="lower right")
    _plain(figure)


def _first_pit(figure: Figure, steps: pa.Table) -> None:
    lengths = steps.group_by("solution_id").aggregate([("step_index", "max")])
    pits = steps.filter(steps["is_pit"]).join(lengths, "solution_id")
    last = pc.max_element_wise(pits["step_index_max"], 1)
    position = pc.divide(pc.cast(pits["step_index"], pa.float64()), last).to_pylist()
    axes = figure.subplots()
    axes.hist(sorted(position), bins=_BINS, range=(0, 1), color=_COLORS[0], edgecolor="white")
    axes.set(xlabel="position of the first pit (0 first step, 1 last step)", ylabel="solutions",
             title=f"First pits of {len(position):,} incorrect solutions")
    _plain(figure)


def _advantages(figure: Figure, steps: pa.Table) -> None:
    valued = steps.filter(pc.is_valid(steps["advantage"]))
    pits, others = valued.filter(valued["is_pit"]), valued.filter(pc.invert(valued["is_pit"]))
    axes = figure.subplots()
    axes.hist([others["advantage"].to_pylist(), pits["advantage"].to_pylist()], bins=2 * _BINS, range=(-1, 1),
              stacked=True, color=[_COLORS[0], _COLORS[1]], label=["other steps", "first pits"])
    axes.axvline(0, color="#333333", linewidth=0.8)
    axes.set(xlabel="advantage", ylabel="steps", title=f"Advantages of {len(valued):,} steps")
    axes.legend(frameon=False)
    _plain(figure)


def _label(name: str) -> str:
    """A name as it is: a dollar sign would start a formula, a leading underscore would hide it from the legend."""
    shown = name.replace("$", r"\$")
    return f" {shown}" if shown.startswith("_") else shown


def _plain(figure: Figure) -> None:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
