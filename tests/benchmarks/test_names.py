"""The benchmarks import names that exist: they run by hand, so nothing else would say that one was moved."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = sorted(Path(__file__).parent.glob("*.py"))


def names(path: Path) -> list[tuple[str, str]]:
    return [(node.module or "", name.name) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("stepforge") for name in node.names]


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_what_a_benchmark_imports_exists(path: Path) -> None:
    missing = [f"{module}.{name}" for module, name in names(path)
               if not hasattr(import_module(module), name) and not _is_module(f"{module}.{name}")]
    assert not missing


def _is_module(name: str) -> bool:
    try:
        return import_module(name) is not None
    except ImportError:
        return False


def test_names_are_read_from_the_benchmarks() -> None:
    assert {"search", "search_tiny", "evidence"} <= {path.stem for path in BENCHMARKS if names(path)}
