"""What the site has beside the files of cards/docs/: generated references, notebooks, and documents of the repository.

mkdocs calls the functions below. In: its list of files and the HTML of each page. Out: the list with more pages, and
pages whose pictures are part of the page, so that they follow its colours. Nothing that is generated is stored.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from notebook import as_markdown
from reference import pages

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "cards/docs"
BORROWED = ("CONTRIBUTING.md", "CHANGELOG.md", "train/README.md", "train/papers.md", "train/results/**/*")
PICTURE = re.compile(r'<img alt="([^"]*)" src="(?:\.\./)*(pictures/[\w-]+\.svg)"\s*/?>')
LINK = re.compile(r"\[([^\]]*)\]\((?!https?:|#|mailto:)([^)#\s]+)(#[^)\s]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    for notebook in sorted(DOCS.glob("notebooks/*.ipynb")):
        files.append(File.generated(config, f"notebooks/{notebook.stem}.md", content=as_markdown(notebook)))
    for pattern in BORROWED:
        for source in sorted(path for path in ROOT.glob(pattern) if path.is_file()):
            files.append(File.generated(config, source.relative_to(ROOT).as_posix(), abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links between files of the repository, as links between pages of the site; code is no page, so only named."""
    uri = page.file.src_uri
    ours = (DOCS / uri).exists() or uri.startswith("notebooks/")
    here = posixpath.dirname(f"cards/docs/{uri}" if ours else uri)

    def moved(match: re.Match[str]) -> str:
        file = posixpath.normpath(posixpath.join(here, match[2])).removeprefix("cards/docs/").replace(".ipynb", ".md")
        if files.get_file_from_path(file) is None and (ROOT / file).exists():
            return match[1]
        return f"[{match[1]}]({posixpath.relpath(file, posixpath.dirname(uri) or '.')}{match[3] or ''})"

    return markdown if uri.startswith("reference/") else LINK.sub(moved, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    return PICTURE.sub(lambda match: (DOCS / match[2]).read_text(encoding="utf-8"), html)
