"""From what happened in a cohort to rows, and to its part of the sums: one long table (table, adapter, key, measure, value)."""

from collections.abc import Sequence

import pyarrow as pa

from sim.cohort.result import CohortResult
from sim.report.answers import answer_sums
from sim.report.around_drifts import Drifts
from sim.report.detections import detection_sums
from sim.report.measures import adapter_sums, aligned_sums, calibration_sums, class_sums, metric_sums
from sim.report.rows import client_rows, drift_rows, event_rows, window_rows
from sim.report.sums import Sums
from sim.streams.audit import audit_sums


def cohort_tables(
    result: CohortResult, adapters: Sequence[str], window: int, horizon: int, events: bool, largest_bank: int
) -> tuple[dict[str, pa.Table], Sums]:
    """The rows of one cohort.

    Args:
        result: What happened.
        adapters: Their names, [A].
        window: Images in a window.
        horizon: Images after a drift that aligned sums cover.
        events: Whether a row for every prediction is wanted.
        largest_bank: Repeats are counted within this many images.

    Returns:
        Tables by name, and the cohort's part of the sums.
    """
    correct = result.correct
    drifts = Drifts.of(result, window, horizon)
    found = {
        "windows": window_rows(result, correct, adapters, window),
        "clients": client_rows(result, correct, adapters),
        "drifts": drift_rows(result, correct, adapters, drifts, window),
    }
    if events:
        found["events"] = event_rows(result, adapters)
    sums: Sums = {}
    for part in (
        adapter_sums(result, correct, adapters, drifts, window),
        class_sums(result, adapters),
        calibration_sums(result, adapters),
        aligned_sums("aligned", correct, adapters, drifts, window, horizon),
        metric_sums(result, correct, adapters, drifts, window, horizon),
        audit_sums(result.plan, result.images, result.labels, result.lengths, window, largest_bank),
        answer_sums(result, adapters, window),
        detection_sums(result, drifts),
    ):
        for table, adapter, key, measure, value in part:
            sums[table, adapter, key, measure] = float(value)
    return found, sums
