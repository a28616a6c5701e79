"""The documentation holds: every link leads somewhere, every command and scenario that it names exists, every path is there."""

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import typer
import typer.core
from markdown_it import MarkdownIt
from markdown_it.token import Token

from sim.cli import app
from sim.scenario.file import read, shipped
from sim.scenario.validation import validate

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(ROOT.glob("docs/*.md")),
    *sorted(ROOT.glob("reports/gallery/*.md")),
]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

PLACEHOLDER = re.compile(r"([a-z]+/)?[A-Z][A-Z:/#_]*")
"""What the reader puts something in place of: SCENARIO, FOLDER, HOST:PORT."""

UsageError = typer.BadParameter.__base__ or Exception
"""What the command line says of a command that it does not have; BadParameter is the kind of it that is public."""

MADE_LATER = ("reports/", "docs/streams/NAME.svg", "site/")
"""Paths that a command makes."""


@cache
def tokens(page: Path) -> list[Token]:
    found = MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))
    return list(itertools.chain.from_iterable([token, *(token.children or [])] for token in found))


def links(page: Path) -> Iterator[str]:
    for token in tokens(page):
        target = token.attrGet("href") or token.attrGet("src")
        if target is not None and not str(target).startswith(("http://", "https://", "mailto:")):
            yield str(target)


@cache
def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading, said in itertools.pairwise(tokens(page)):
        if heading.type == "heading_open":
            text = "".join(part.content for part in said.children or [])
            slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
            again = (f"{slug}-{number}" for number in itertools.count(1))
            found.add(slug if slug not in found else next(other for other in again if other not in found))
    return found


@dataclass(frozen=True)
class Command:
    """A command that a page names.

    Args:
        words: What comes after `iciia`.
        whole: Whether it stands in a block to be copied; in a sentence the command alone may be named.
    """

    words: list[str]
    whole: bool


def expanded(block: str) -> Iterator[str]:
    """The block's lines, with the values of its variables and of its loops put in."""
    text = re.sub(r"\s*\\\n\s*", " ", block)
    values = {name: [value] for name, value in re.findall(r'^(\w+)="([^"]*)"$', text, re.MULTILINE)}
    values |= {name: of.split() for name, of in re.findall(r"for (\w+) in (.+?); do", text)}
    for line in text.splitlines():
        used = [name for name in values if f"${name}" in line]
        for chosen in itertools.product(*(values[name] for name in used)):
            filled = line
            for name, value in zip(used, chosen, strict=True):
                filled = filled.replace(f"${name}", value)
            yield filled


def words(text: str) -> list[str]:
    """A command's words, without what explains it, follows it or is put around what may be left out."""
    text = re.sub(r"\[(--[^]|]*)[^]]*\]", r"\1", re.split(r"\s{2,}|; do|&&|>", text)[0])
    return shlex.split(text, comments=True)


def commands(page: Path) -> Iterator[Command]:
    for token in tokens(page):
        if token.type == "code_inline":
            if token.content.startswith("iciia "):
                yield Command(words(token.content.removeprefix("iciia ")), whole=False)
        elif token.type in ("fence", "code_block"):
            for line in expanded(token.content):
                found = re.search(r"(?:^|^\$ |&& |; )\s*iciia (.*)", line)
                if found is not None and "=" not in line[: found.start()]:
                    yield Command(words(found[1]), whole=True)


def parsed(words: list[str]) -> typer.Context | None:
    """What the command line makes of a command, without running it; None if it shows its help and ends."""
    words = ["1" if word == "N" else word for word in words]
    command = typer.main.get_command(app)
    context = None
    name = "iciia"
    while True:
        try:
            context = command.make_context(name, list(words), parent=context)
        except typer.Exit:
            return None
        if not isinstance(command, typer.core.TyperGroup):
            return context
        name, found, words = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        command = found


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    page = ROOT / name
    broken = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        leads = there.exists() and ROOT in [there, *there.parents]
        if not leads or (anchor and (there.suffix != ".md" or anchor not in anchors(there))):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("name", NAMES)
def test_commands_exist(name: str) -> None:
    """Each parses, with its options; what it sets on a scenario that comes with the package is valid there."""
    wrong = []
    for command in commands(ROOT / name):
        if {"COMMAND", "--install-completion"} & set(
            command.words
        ):  # any command; the shell's, which would be installed
            continue
        try:
            context = parsed(command.words)
        except UsageError as error:
            if command.whole or not str(error).lower().startswith("missing"):
                wrong.append(f"iciia {shlex.join(command.words)}: {error}")
            continue
        params = context.params if context is not None else {}
        for scenario in (params.get("scenario"), *(params.get("scenarios") or ())):
            if scenario in shipped():
                validate(read(scenario).override(params.get("overrides") or ()))
            elif scenario is not None and not scenario.endswith(".yaml") and not PLACEHOLDER.fullmatch(scenario):
                wrong.append(f"iciia {shlex.join(command.words)}: no scenario {scenario}")
    assert wrong == []


@pytest.mark.parametrize("name", NAMES)
def test_scenarios_and_paths_exist(name: str) -> None:
    """What is named like a scenario that comes with the package, or like a path of the repository."""
    groups = {scenario.partition("/")[0] for scenario in shipped() if "/" in scenario}
    rooms = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    wrong = []
    for token in tokens(ROOT / name):
        first, slash, rest = token.content.partition("/")
        if token.type != "code_inline" or not slash or not re.fullmatch(r"[\w./-]*", rest):
            continue
        if first in groups and not rest[:1].isupper():
            if not any(scenario.startswith(token.content.rstrip("/")) for scenario in shipped()):
                wrong.append(token.content)
        elif first in rooms and not token.content.startswith(MADE_LATER) and not (ROOT / token.content).exists():
            wrong.append(token.content)
    assert wrong == []


def test_every_page_is_found_from_the_index() -> None:
    """In docs/index.md, which the README leads to, and in the navigation of the site."""
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target.partition("#")[0]).resolve() for target in links(index)}
    assert set(PAGES) - linked == {ROOT / "README.md", index}
    site = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [name for name in NAMES if f": {name}\n" not in site] == []


def test_what_does_not_hold_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# One\n# One\n[a](b.md#c) ![d](e.svg)\n\n    $ iciia run quickstart --sett x   # why\n\n"
        "`iciia plan`, `iciia plann`\n\n    for n in a b; do\n      iciia run drift/$n --out $n\n    done\n"
    )
    assert list(links(page)) == ["b.md#c", "e.svg"]
    assert anchors(page) == {"one", "one-1"}
    found = list(commands(page))
    assert [command.words for command in found] == [
        ["run", "quickstart", "--sett", "x"], ["plan"], ["plann"],
        ["run", "drift/a", "--out", "a"], ["run", "drift/b", "--out", "b"],
    ]  # fmt: skip
    for command, error in ((found[0], "--sett"), (found[1], "scenario"), (found[2], "plann")):
        with pytest.raises(UsageError, match=error):
            parsed(command.words)
