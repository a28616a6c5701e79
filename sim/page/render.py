"""From a page's parts to one HTML file that needs nothing else.

Vega, Vega-Lite and vega-embed stand in it once, as bundled by vl-convert. A content policy forbids every request, so that the page
cannot load anything even by mistake.
"""

import json
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import altair as alt
import jinja2
import vl_convert

from sim.cache import Cache
from sim.page.parts import Cards, Chart, Code, Copied, Links, Page, Table
from sim.page.theme import specification

HERE = Path(__file__).parent


def render(page: Page, dark: Mapping[str, str], cache: Cache) -> str:
    """The page as HTML.

    Args:
        page: What it says.
        dark: What each colour becomes on a dark background.
        cache: Where the JavaScript bundle is kept; making it takes more than a second.
    """
    environment = _environment()
    kinds = {"Chart": Chart, "Table": Table, "Cards": Cards, "Code": Code, "Links": Links, "Copied": Copied}
    environment.tests.update({name.lower(): _is(kind) for name, kind in kinds.items()})
    specs = {chart.name: specification(chart.spec) for chart in page.charts()}
    return environment.get_template("page.html.j2").render(
        page=page,
        style=_text("page.css"),
        script=_text("page.js"),
        bundle=_bundle(cache),
        specs=_embedded(specs),
        dark=_embedded(dict(dark)),
        version=version("iciia-sim"),
    )


def client_html(title: str, lead: str, limit: str, content: Mapping[str, Any]) -> str:
    """The page of a client as HTML.

    Args:
        title: Its heading.
        lead: Whom it is about.
        limit: Which steps it shows; nothing if all.
        content: What its script shows.
    """
    return (
        _environment()
        .get_template("client.html.j2")
        .render(
            title=title,
            lead=lead,
            limit=limit,
            style=_text("page.css") + _text("client.css"),
            script=_text("client.js"),
            content=_embedded(dict(content)),
            version=version("iciia-sim"),
        )
    )


def watch_html() -> str:
    """The page that follows a run, as HTML; it asks its server for the rest."""
    return (
        _environment()
        .get_template("watch.html.j2")
        .render(style=_text("page.css") + _text("watch.css"), script=_text("watch.js"), version=version("iciia-sim"))
    )


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def _is(kind: type) -> Callable[[object], bool]:
    return lambda part: isinstance(part, kind)


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _embedded(value: object) -> str:
    """JSON that may stand inside a script element."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _bundle(cache: Cache) -> str:
    """Vega, Vega-Lite and vega-embed, in the version of Vega-Lite that Altair writes."""
    vega_lite = ".".join(alt.SCHEMA_VERSION.removeprefix("v").split(".")[:2])

    snippet = "window.vegaEmbed = vegaEmbed;"

    def build(folder: Path) -> None:
        (folder / "vega.js").write_text(vl_convert.javascript_bundle(snippet, vl_version=vega_lite), encoding="utf-8")

    key = {"vega_lite": vega_lite, "vl_convert": version("vl-convert-python")}
    return (cache.get("vega", key, build) / "vega.js").read_text(encoding="utf-8")
