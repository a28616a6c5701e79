"""The page of a run: which sections it has, and in which order."""

from sim.page.aggregates import clients
from sim.page.audit import audit_chart, audit_table
from sim.page.calibration import calibration_chart, metrics_table
from sim.page.capacity import capacity_chart
from sim.page.detections import detections_table
from sim.page.devices import devices_table
from sim.page.distribution import decile_table, distribution_charts, looked_at, worst_table
from sim.page.frontier import frontier_charts
from sim.page.headline import best_adapter, gain_chart, headline_cards, summary_table
from sim.page.overhead import estimates_table, overhead_table, speed_table
from sim.page.parts import Page, Part, Section
from sim.page.provenance import described, facts_table, reproduce
from sim.page.recovery import recovery_chart, recovery_table
from sim.page.staleness import staleness_chart
from sim.page.stream import stream_chart
from sim.page.theme import Style, styles
from sim.report.load import Report


def run_page(report: Report) -> tuple[Page, list[Style]]:
    """The page of a run, and the styles of its adapters.

    Args:
        report: Of a single run, not of a sweep.
    """
    looks = styles(report.answers)
    named = best_adapter(report)
    found = clients(report, named)
    timed = report.scenario.get("protocol", "stream") == "stream"
    sections = [
        _section("gains", "Gains", [], headline_cards(report), gain_chart(report, looks), summary_table(report)),
        _section("stream", "Over the stream" if timed else "By position", [], stream_chart(report, looks)),
        _section(
            "drift",
            "Around a drift",
            [],
            recovery_chart(report, looks),
            recovery_table(report),
            detections_table(report),
            staleness_chart(report, looks),
        ),
        _section("capacity", "Bank capacity", [], capacity_chart(report, looks)),
        _section("frontier", "Frontier", [], *frontier_charts(report, looks)),
        _section(
            "clients",
            "Clients",
            ["A mean hides whom it fails."],
            *distribution_charts(found, looks),
            devices_table(report, found),
            decile_table(report, found),
            worst_table(report, found, named),
            looked_at(report),
        ),
        _section("streams", "Streams", [], audit_chart(report), audit_table(report)),
        _section(
            "metrics", "Confidence and other metrics", [], calibration_chart(report, looks), metrics_table(report)
        ),
        _section("overhead", "Overhead", [], overhead_table(report), speed_table(report), estimates_table(report)),
        _section("provenance", "Provenance", [], *reproduce(report), facts_table(report)),
    ]
    return Page(str(report.run["name"]), described(report), [one for one in sections if one.parts]), looks


def _section(name: str, title: str, text: list[str], *parts: Part | None) -> Section:
    return Section(name, title, text, [part for part in parts if part is not None])
