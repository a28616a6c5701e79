"""What every column of a report's tables means, and the document that says so.

A name means the same in every table; where a table has more to say about it, the key is `table.column`.
"""

from collections.abc import Mapping

import pyarrow as pa

from sim.report.schema import SCHEMA_VERSION, TABLES

COLUMNS: Mapping[str, str] = {
    "accuracy": "share of images predicted right, a fraction; prequential by the stream protocol",
    "accuracy_after_drift": "accuracy of the window's worth of images from each drift on, cut at the next one; null without drifts",
    "accuracy_before": "accuracy of the window before the point, on the pooled curve",
    "accuracy_before_drift": "accuracy of the window's worth of images before each drift; null without drifts",
    "accuracy_ci_high": "upper end of the 95 % t-interval of `accuracy_client_mean` over clients",
    "accuracy_ci_low": "lower end of it; null for one client",
    "accuracy_client_mean": "mean over clients of their accuracies, a fraction",
    "accuracy_lowest": "lowest accuracy of a window that lies wholly after the point and within the horizon",
    "adapter": "the adapter's name in the scenario, with its capacity if it has a bank",
    "age_images": "mean age of the bank's images by the weight that attention gives them, in images",
    "attribute": "number of the attribute, for images with attributes; otherwise null",
    "backbone_macs": "multiply-adds of the backbone for one image; null if only its features are known",
    "bank": "the bank's name: the adapter's without the capacity; null without a bank",
    "bank_capacity": "most images that the bank may hold, N; null without a bank",
    "bank_policy": "which images the bank keeps when it is full; null without a bank of its own, and in older reports",
    "bank_storage": "how the bank's numbers are kept; likewise",
    "bank_weight_on_current_subset": "share of the bank's attention on images of the classes that the client meets now",
    "bin": "number of the bin, from 0",
    "censored": "points with the next drift, or the stream's end, inside the horizon",
    "class_index": "number of the class, from 0",
    "class_name": "its name",
    "client": "number of the client, from 0",
    "client_drop": "mean drop of single clients, mostly noise: read it beside its placebo; null where there is no placebo",
    "client_points": "points with a whole window before and a whole horizon after, which single clients' drops are of",
    "clients": "number of clients",
    "confidence": "the largest probability that an adapter gives",
    "calibration.confidence": "mean confidence of the bin's predictions",
    "confidence_high": "upper edge of the bin",
    "confidence_low": "lower edge of the bin",
    "correct": "images predicted right; an image with attributes counts by the share of them that is right",
    "correct_after": "of them right",
    "correct_before": "of them right",
    "drawn": "what was really drawn",
    "drift": "number of the client's drift, from 1",
    "drop": "`accuracy_before` less `accuracy_lowest`, a fraction; null without drifts",
    "answers.drop": "drop at drifts, as in `drift_metrics`",
    "ece": "expected calibration error over 15 bins, weighted by images; null without probabilities",
    "gain": "accuracy less the backbone's on the same images, a fraction; in a table of adapters the mean over clients, paired",
    "gain_ci_high": "upper end of the 95 % t-interval of `gain` over clients",
    "gain_ci_low": "lower end of it; null for one client",
    "alarms": "images at which it says that the client's classes have changed; expected ones for `random`",
    "detected": "drifts that it detects; expected ones for `random`",
    "detector": "`itself`, or a control: `random` at the adapter's rate of alarms, `always`, `never`",
    "delay": "images from drift to detection, as a share of those to the next drift or the stream's end; mean over detected drifts",
    "drifts": "number of drifts",
    "false_alarms": "alarms that detect no drift",
    "false_alarms_per_1000": "false alarms for 1,000 images",
    "detections.adapter": "the adapter's name in the scenario; null for a control that is nobody's",
    "device": "class of devices that the client's is of; null if clients have none",
    "fitted_capacity": "capacity of the client's bank where it follows from its device, 0 where none fits; null elsewhere",
    "image": "number of the image in the store",
    "images": "number of images",
    "images_after": "images in the window from the drift on, cut at the next drift",
    "images_before": "images in the window before the drift, cut at the drift before",
    "images_since_drift": "first image of the window, counted from the client's last drift or the stream's start",
    "key": "window, class, offset or bin that the sum is of; 0 for a whole",
    "kappa_temporal": "(accuracy - a) / (1 - a), with a the accuracy of repeating the client's previous label",
    "kind": "what the adapter is: its class's `kind`",
    "knows": "what the adapter was told of how clients come about: `nothing`, or `superclasses`, by a list or by training on such "
    "clients; null in older reports",
    "label": "the true class, or whether the attribute is there",
    "macro_accuracy": "mean over the classes that were met of their accuracies",
    "macs_module": "of these without any classifier",
    "macs_per_image": "multiply-adds that the adapter adds to the backbone's, for one image at a full bank, by formula",
    "macs_share": "`macs_per_image` as a share of `backbone_macs`; null if that is not known",
    "macs_training": "multiply-adds of training on the device, once for each client; null if nothing is trained there",
    "measure": "what is measured",
    "module": "name of the ICIIA module in the scenario; null without one",
    "name": "the class or part of the data that it is measured of; empty for the whole",
    "natural_client": "the data's own number of the client; null for drawn streams",
    "nll": "mean negative log-likelihood of the truth, in nats; null without probabilities",
    "offset": "images since the drift; negative before it",
    "on_bytes_frontier": "no other that sees images alone is as accurate for fewer state bytes, or more accurate for as many",
    "on_macs_frontier": "the same for multiply-adds",
    "parameters": "parameters of the adapter, shared by all clients",
    "planned": "what the plan of the streams says; null where nothing was planned",
    "point": "`drift`, or `placebo`: the same statistics where nothing drifts",
    "points": "number of such points",
    "policy": "which images the bank keeps when it is full",
    "prediction": "the predicted class, or whether the attribute is predicted",
    "protocol": "by which images were predicted: `stream`, `paper_batch` or `leave_one_out`",
    "recovery": "images from the point to the start of the first window that is back at 90 % of the level before; null if none is",
    "recovery_images": "`recovery` at drifts",
    "recall": "share of the drifts that it detects; null without drifts",
    "sees": "what the adapter is shown: `images` alone, `prior` (the true class prior) or `past_labels`",
    "severity": "share of the old subset's classes that are gone",
    "smallest_within_a_point": "the smallest capacity of this bank that is within a point of its best",
    "state_bytes": "what one client keeps at a full bank, in bytes",
    "step": "position in the stream, from 0",
    "windows.step": "the window's first step",
    "storage": "how the bank's numbers are kept",
    "superclass": "name of the class's superclass; null without",
    "superclass_after": "number of the superclass that the client drifts to; -1 if subsets are not superclasses",
    "superclass_before": "number of the one it drifts from; likewise",
    "table": "the table that the sum is for",
    "top5_accuracy": "share of images whose class is among the five highest scores; null where scores do not tell",
    "value": "the sum over the clients of these cohorts",
    "weight_on_itself": "attention that the target gives to itself",
    "window": "number of the window, from 0",
    "worst_client_accuracy": "accuracy of the client with the lowest",
    "worst_client_gain": "gain of the client with the lowest",
    "worst_decile_accuracy": "mean accuracy of the tenth of the clients with the lowest",
    "worst_decile_gain": "mean gain of the tenth of the clients with the lowest",
}


def meaning(table: str, column: str) -> str:
    """What a column of a table means.

    Raises:
        KeyError: Nobody has said.
    """
    return COLUMNS.get(f"{table}.{column}") or COLUMNS[column]


def described_tables() -> str:
    """All tables and columns, as Markdown."""
    lines = [
        "# The tables of a report",
        "",
        "Printed by `iciia schema --tables`, from the code that writes them.",
        "",
        f"Schema version {SCHEMA_VERSION}, in `run.json` and in every file's metadata beside the scenario, its digest, protocol",
        "and seed. `sim.load` reads this version and older ones: columns that an old report does not have are null. A newer one is",
        "refused, naming both versions. Accuracies and gains are fractions; units are in the names.",
        "",
        "A table is one Parquet file in the report's folder, or a folder with a file for each range of cohorts. `sim.load(FOLDER)`",
        "has each as a pandas frame; [recipes](recipes.md) reads them with pandas, DuckDB and polars.",
    ]
    for name, table in TABLES.items():
        place = f"{name}/*.parquet" if table.sharded else f"{name}.parquet"
        lines += [
            "",
            f"## {name}",
            "",
            f"`{place}`: {table.meaning}.",
            "",
            "| column | type | meaning |",
            "|---|---|---|",
        ]
        lines += [f"| `{field.name}` | {_type(field.type)} | {meaning(name, field.name)} |" for field in table.schema]
    lines += [
        "",
        "## sweep",
        "",
        "`sweep.parquet`, in the folder of a sweep: the summaries of its runs, after a column for each swept key.",
        "`answers.parquet` beside it likewise. The runs' own reports are in `cells/`.",
    ]
    return "\n".join(lines) + "\n"


def _type(kind: pa.DataType) -> str:
    return "string" if pa.types.is_dictionary(kind) else str(kind)
