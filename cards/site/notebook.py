"""Notebooks of cards/docs/notebooks/: as Markdown for the site, and executed.

`python cards/site/notebook.py` executes each of them in a scratch folder and stores what it prints as plain text.
"""

import tempfile
from pathlib import Path

import nbformat

NOTEBOOKS = Path(__file__).parents[1] / "docs/notebooks"
LONGEST_S = 300  # of one cell, on a busy machine


def as_markdown(path: Path) -> str:
    """The notebook as a page: its texts, its code, and what each cell printed when it was stored."""
    parts = []
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        if text := printed(cell):
            parts.append(f"```text\n{text}\n```")
    return "\n\n".join(parts) + "\n"


def printed(cell: nbformat.NotebookNode) -> str:
    """What a cell wrote to its output and what its last line evaluated to, as text; warnings are left out."""
    texts = [output.text if output.output_type == "stream" else output.data.get("text/plain", "")
             for output in cell.outputs if output.output_type in ("execute_result", "display_data")
             or output.get("name") == "stdout"]
    return "\n".join(text.rstrip() for text in texts if text.strip())


def execute(path: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook after all its cells ran in `folder`; raises nbclient's CellExecutionError where one fails."""
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=LONGEST_S, kernel_name="python3",
                   resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def _store(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Keep plain text alone, so that a stored notebook is small and its differences can be read."""
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            text = printed(cell)
            cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text + "\n")] if text else []
            cell.execution_count = None
    notebook.metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for file in sorted(NOTEBOOKS.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as scratch:
            _store(execute(file, Path(scratch)), file)
