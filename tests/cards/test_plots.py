"""Plots: drawn only from what the release has, and the same bytes every time."""

from collections.abc import Callable
from pathlib import Path

from stepforge.cards.plots import draw_plots


def test_plots_are_the_same_bytes_each_time(make_release: Callable[..., Path]) -> None:
    folder = make_release()
    first = {path.name: path.read_bytes() for path in draw_plots(folder)}
    assert {path.name: path.read_bytes() for path in draw_plots(folder)} == first
    assert set(first) == {"coverage.png", "first_pit.png", "advantages.png"}
    assert all(content.startswith(b"\x89PNG") for content in first.values())


def test_a_plot_without_data_is_not_drawn_and_an_old_one_goes(make_release: Callable[..., Path]) -> None:
    folder = make_release(change=lambda rows: rows["steps"].clear(), measures=[])
    (folder / "assets").mkdir()
    (folder / "assets/coverage.png").write_bytes(b"old")
    assert draw_plots(folder) == [] and not (folder / "assets/coverage.png").exists()


def test_a_name_with_markup_of_the_plotter_is_drawn_as_it_is(make_release: Callable[..., Path]) -> None:
    row = {"measure": "coverage", "k": 1, "value": 0.5, "low": None, "high": None, "n": 1, "excluded": 0}
    folder = make_release(measures=[{**row, "generator": r"$\frac{$"}, {**row, "generator": "_hidden"}])
    assert (folder / "assets/coverage.png") in draw_plots(folder)
