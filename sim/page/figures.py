"""Charts as files: SVG and PNG for print, and what they draw as CSV."""

from collections.abc import Iterable
from pathlib import Path

import vl_convert

from sim.errors import ReportError
from sim.page.parts import Chart
from sim.page.theme import specification

PIXELS_PER_INCH = 300


def write_figures(charts: Iterable[Chart], folder: Path) -> list[Path]:
    """Writes three files for each chart.

    Args:
        charts: The charts.
        folder: Where to; made if it is not there.

    Raises:
        ReportError: It cannot be written.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for chart in charts:
            spec = specification(chart.spec, chart.title)
            paths = [folder / f"{chart.name}{suffix}" for suffix in (".svg", ".png", ".csv")]
            paths[0].write_text(vl_convert.vegalite_to_svg(spec), encoding="utf-8")
            paths[1].write_bytes(vl_convert.vegalite_to_png(spec, ppi=PIXELS_PER_INCH))
            chart.data.to_csv(paths[2], index=False)
            written += paths
    except OSError as error:
        raise ReportError(f"{folder}: figures cannot be written there ({error.strerror})") from error
    return written
