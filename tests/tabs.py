"""Pages in a real browser: two sizes, two colour schemes, and what a page says and asks for."""

from pathlib import Path
from typing import Any

SIZES = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1280, "height": 900}}
BACKGROUND = {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 25, 29)"}


class Tab:
    """An open page, what it said and what it asked for.

    Args:
        browser: The browser.
        path: The page's file.
        size: `phone` or `desktop`.
        scheme: `light` or `dark`.
    """

    def __init__(self, browser: Any, path: Path, size: str = "desktop", scheme: str = "light") -> None:
        self.context = browser.new_context(
            viewport=SIZES[size], color_scheme=scheme, offline=True, accept_downloads=True
        )
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.url = path.resolve().as_uri()
        self.page.goto(self.url)
        self.ready()

    def ready(self) -> None:
        self.page.locator("html[data-ready=yes]").wait_for(state="attached")

    def wait_for(self, selector: str, count: int) -> None:
        """Waits until so many elements match; what follows a click comes a moment later."""
        self.page.wait_for_function(
            "([selector, count]) => document.querySelectorAll(selector).length === count", arg=[selector, count]
        )

    def wait_for_lines(self, chart: str, count: int) -> None:
        """Waits until a chart draws so many lines."""
        self.wait_for(f"#figure-{chart} .plot svg.marks .mark-line.role-mark path", count)
