"""Turn math problems with known answers into versioned, step-annotated training data.

    import stepforge
    run = stepforge.run("demo")                     # or a path, or a dict of options
    run.steps.filter(polars.col("is_pit")).collect() # every table of the run as a polars LazyFrame
    stepforge.verify("18", "So she makes $18.")     # one answer
    stepforge.open_release("org/name", "1.0.0").frame("step_pairs", "train")

Every name below is imported when it is first used, so `import stepforge` costs little.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str
    from stepforge.cards.check import check as check
    from stepforge.cards.publish import publish as publish
    from stepforge.cards.versions import diff as diff
    from stepforge.pipelines.answers import Verifier as Verifier
    from stepforge.pipelines.answers import reward as reward
    from stepforge.pipelines.answers import verify as verify
    from stepforge.pipelines.library import annotate as annotate
    from stepforge.pipelines.library import open_run as open_run
    from stepforge.pipelines.library import plan as plan
    from stepforge.pipelines.library import run as run
    from stepforge.pipelines.library import split_steps as split_steps
    from stepforge.pipelines.recipe import Recipe as Recipe
    from stepforge.pipelines.recipe import load_recipe as load_recipe
    from stepforge.pipelines.run_folder import Run as Run
    from stepforge.pipelines.views.releases import Release as Release
    from stepforge.pipelines.views.releases import open_release as open_release

HOMES = {
    "Recipe": "pipelines.recipe", "Release": "pipelines.views.releases", "Run": "pipelines.run_folder",
    "Verifier": "pipelines.answers", "annotate": "pipelines.library", "check": "cards.check",
    "diff": "cards.versions", "load_recipe": "pipelines.recipe", "open_release": "pipelines.views.releases",
    "open_run": "pipelines.library", "plan": "pipelines.library", "publish": "cards.publish",
    "reward": "pipelines.answers", "run": "pipelines.library", "split_steps": "pipelines.library",
    "verify": "pipelines.answers",
}
__all__ = ["__version__", *HOMES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("stepforge")
    if name not in HOMES:
        raise AttributeError(f"stepforge has no {name!r}; it has {', '.join(HOMES)}")
    value = getattr(import_module(f"stepforge.{HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
