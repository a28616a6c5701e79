"""Which files the documentation site is made of (`make docs`, mkdocs.yml).

Pages keep the places that they have in the repository, so that links between them hold here and there alike. What a page links to
beside pages, such as a scenario or a picture, is copied. The API reference is made from the public names.
"""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/*.md",
    "docs/site.css",
    "reports/gallery/*.md",
    "reports/gallery/published/*.md",
)
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")

OWN = ("sim.drift", "sim.testing", "iciia.testing", "iciia.policies", "iciia.adapters.base")
"""What classes of one's own are made of and checked by."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """The site's files: those of the theme, and ours in place of what lies below docs/ alone."""
    of_theme = [file for file in files if file.src_dir != config.docs_dir]
    found = {path.relative_to(ROOT).as_posix(): path for pattern in PAGES for path in ROOT.glob(pattern)}
    linked = {path.relative_to(ROOT).as_posix(): path for page in list(found.values()) for path in links(page)}
    whole = [File.generated(config, name, abs_src_path=str(path)) for name, path in sorted({**linked, **found}.items())]
    reference = [
        File.generated(config, f"reference/{name}.md", content=content) for name, content in reference_pages().items()
    ]
    return Files([*of_theme, *whole, *reference])


def links(page: Path) -> Iterator[Path]:
    """Files of the repository that a page links to."""
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        path = (page.parent / target).resolve()
        if "://" not in target and path.is_file() and ROOT in path.parents:
            yield path


def reference_pages() -> dict[str, str]:
    """Markdown of the API reference: the public names of both packages, and what classes of one's own need."""
    pages = {package: f"# {package}\n\n" + "\n".join(directives(package)) for package in ("sim", "iciia")}
    return pages | {"own": "# For classes of your own\n\n" + "\n".join(f"::: {module}" for module in OWN)}


def directives(package: str) -> Iterator[str]:
    """A line for each public name: functions, classes, errors."""
    names = importlib.import_module(package).__all__
    for name in sorted(
        names, key=lambda name: (name.endswith("Error") or name == "Interrupted", name[0].isupper(), name)
    ):
        yield f"::: {package}.{name}\n"
