"""Charts as files: SVG and PNG for print, and what they draw as CSV."""

from collections.abc import Iterable

import vl_convert

from sim.addresses import Location
from sim.errors import ReportError
from sim.files import DISK
from sim.page.parts import Chart
from sim.page.theme import specification

PIXELS_PER_INCH = 300


def write_figures(charts: Iterable[Chart], folder: Location) -> list[Location]:
    """Writes three files for each chart.

    Args:
        charts: The charts.
        folder: Where to; made if it is not there.

    Raises:
        ReportError: It cannot be written.
    """
    written = []
    try:
        DISK.make_folder(folder)
        for chart in charts:
            spec = specification(chart.spec, chart.title)
            paths = [folder / f"{chart.name}{suffix}" for suffix in (".svg", ".png", ".csv")]
            paths[0].write_bytes(vl_convert.vegalite_to_svg(spec).encode())
            paths[1].write_bytes(vl_convert.vegalite_to_png(spec, ppi=PIXELS_PER_INCH))
            paths[2].write_bytes(chart.data.to_csv(index=False).encode())
            written += paths
    except OSError as error:
        raise ReportError(f"{folder}: figures cannot be written there ({error.strerror})") from error
    return written
