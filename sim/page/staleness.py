"""What attention used after a drift."""

from collections.abc import Sequence

import altair as alt

from sim.page import theme
from sim.page.parts import Chart
from sim.report.load import Report


def staleness_chart(report: Report, styles: Sequence[theme.Style]) -> Chart | None:
    """Attention on images of the present class subset, by images since a drift; None without diagnostics."""
    frame = report.staleness
    if frame.empty:
        return None
    present = [style for style in styles if style.adapter in set(frame["adapter"])]
    toggles = theme.toggles(present)
    base = (
        alt.Chart(theme.values(frame))
        .transform_filter(toggles)
        .encode(
            x=alt.X("images_since_drift:Q", title="images since the last drift", axis=theme.axis("d")),
            y=alt.Y(
                "bank_weight_on_current_subset:Q", title="attention on the present subset", axis=alt.Axis(format=".0%")
            ),
            color=theme.colour(present),
        )
    )
    lines = base.mark_line().encode(strokeDash=theme.dash(present), strokeWidth=theme.width()).add_params(toggles)
    tooltip = [
        alt.Tooltip("adapter:N"),
        alt.Tooltip("images_since_drift:Q"),
        alt.Tooltip("bank_weight_on_current_subset:Q", title="on the present subset", format=".1%"),
        alt.Tooltip("age_images:Q", title="mean age, images", format=".1f"),
        alt.Tooltip("weight_on_itself:Q", title="on the target itself", format=".1%"),
    ]
    marks = base.mark_point(filled=True, size=40, opacity=1).encode(shape=theme.mark(present), tooltip=tooltip)
    caption = "Share of the bank's attention that is on images of the classes the client meets now; the rest is stale."
    return Chart(
        "staleness", "What attention uses", caption, frame, theme.finished(alt.layer(lines, marks), 300), half=True
    )
