"""Which adapter did best."""

from typing import Any

import pandas as pd


def best_row(rows: pd.DataFrame) -> dict[str, Any] | None:
    """The row with the largest gain among adapters that see images alone; None if there is none but the backbone.

    Args:
        rows: A summary, or those of a sweep's runs.
    """
    seen = rows[(rows["sees"] == "images") & (rows["adapter"] != "backbone") & rows["gain"].notna()]
    if seen.empty:
        return None
    return {str(key): value for key, value in seen.sort_values("gain", kind="stable").iloc[-1].items()}
