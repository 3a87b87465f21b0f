"""Words that a shell offers for an argument: `stepforge --install-completion` sets it up."""

from collections.abc import Callable, Iterable
from pathlib import Path


def one_of(words: Iterable[str]) -> Callable[[str], list[str]]:
    """What completes an argument that is one of a few words."""
    return lambda incomplete: [word for word in words if word.startswith(incomplete)]


def recipes(incomplete: str) -> list[str]:
    """Shipped recipes, and the YAML files and folders where the word leads."""
    from stepforge.pipelines.recipe import shipped_recipes

    folder = Path(incomplete.rpartition("/")[0] + "/" if "/" in incomplete else ".")
    files = [str(file) + "/" * file.is_dir() for file in sorted(folder.glob("*"))
             if file.is_dir() or file.suffix in (".yaml", ".yml")]
    return one_of([*shipped_recipes(), *files])(incomplete)
