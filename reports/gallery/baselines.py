"""Makes reports/gallery/baselines.md of the two sweeps over all adapters.

iciia run baselines/digits --out reports/baselines-digits
iciia run baselines/glyphs --out reports/baselines-glyphs
python reports/gallery/baselines.py reports/baselines-digits reports/baselines-glyphs > reports/gallery/baselines.md
"""

import json
import sys

import pandas as pd
from scipy import stats

import sim

PREDICTED = """\
Before the runs, after a look at one cell (glyphs, seed 1, 150 images, a drift every 100, single images) in which ICIIA
gained 10 to 12 points, em_prior 0.8, bbse, prior_correction, prototype and t3a between -0.4 and +0.2, kNN lost 46 to 56,
LAME lost, finetuned_head gained 1 and prompt 2, we wrote down:

1. Glyphs, single images: ICIIA wins by 5 points or more over everything that sees images alone, with and without drift.
   Digits: nothing  is told apart; the backbone is right in 98.8 %.
2. Runs of eight: LAME, kNN, em_prior and prior_correction gain much more than on single images, and LAME or em_prior comes
   within 3  points of ICIIA on glyphs or passes it, since what repeats is the class itself and ICIIA was trained on single
   images.
3. last_label is right in more than 80 % on runs of eight: above the backbone on glyphs, so that accuracy alone says little
   there.
4. Without drift a window of 64 is at least as good as one of 16 for ICIIA; with a drift every 80 images 16 is better.
5. finetuned_head and prompt gain without drift and lose most of it with drift, since they learn the first subset.
6. oracle_prior equals the oracle (priors are uniform in a subset) but for its likelihood.
7. ff gains nothing: one image does not tell what its client is reading."""


def interval(values: "pd.Series[float]") -> str:
    """Mean over seeds and its 95 % t-interval, in points."""
    mean = 100 * values.mean()
    if values.nunique() == 1:
        return f"{mean:+.1f}"
    low, high = stats.t.interval(0.95, len(values) - 1, mean, stats.sem(100 * values))
    return f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"


def page(folders: list[str]) -> None:
    print("# Every rival on the same stream\n")
    print(
        "All adapters see the same streams in the same pass. Streaming protocol: predict, score, remember; everything starts "
        "empty. Gain over the backbone in points of accuracy, paired by client, mean over three seeds (training, split and "
        "streams all anew) with its 95 % t-interval over the seeds. Costs are by formula, for one image and one client; what each "
        "adapter is stands in [docs/adapters.md](../../docs/adapters.md).\n"
    )
    print("Made by:\n")
    print("\n".join(f"    {line}" for line in (__doc__ or "").splitlines()[2:]))
    print(f"\n## Predicted\n\n{PREDICTED}")
    for folder in folders:
        report = sim.load(folder)
        frame = report.sweep
        drift = frame["clients.drift"].map(
            lambda text: json.loads(text)["kind"] if isinstance(text, str) else text["kind"]
        )
        frame = frame.assign(drift=drift, run_length=frame["clients.order.run_length"])
        print(f"\n## {report.scenario['data']['kind']}\n")
        gains(frame)
        details(frame)


def cells(frame: pd.DataFrame) -> list[tuple[str, float]]:
    """Kinds of drift and run lengths, in the order of the sweep."""
    return list(dict.fromkeys(zip(frame.drift, frame.run_length, strict=True)))


def adapters(frame: pd.DataFrame) -> list[tuple[str, str]]:
    """What adapters see and their names: those of images alone first, those of labels last."""
    order = {"images": 0, "prior": 1, "past_labels": 2}
    found = list(dict.fromkeys(zip(frame.sees, frame.adapter, strict=True)))
    return sorted(found, key=lambda one: order[one[0]])


def gains(frame: pd.DataFrame) -> None:
    first = frame.iloc[0]
    print(f"{first.clients} clients x {first.images // first.clients} images.\n")
    titles = [f"{drift} drift, runs of {length:.0f}" for drift, length in cells(frame)]
    print("| adapter | sees | " + " | ".join(titles) + " | MACs an image | bytes a client |")
    print("|---|---|" + "---|" * (len(titles) + 2))
    parts = [frame[(frame.drift == drift) & (frame.run_length == length)] for drift, length in cells(frame)]
    accuracy = [100 * part[part.adapter == "backbone"].accuracy.mean() for part in parts]
    print("| *accuracy of the backbone, %* | | " + " | ".join(f"{value:.1f}" for value in accuracy) + " | | |")
    for sees, name in adapters(frame):
        if name == "backbone":
            continue
        shown = [interval(part[part.adapter == name].gain) for part in parts]
        cost = frame[frame.adapter == name].iloc[0]
        print(f"| {name} | {sees} | " + " | ".join(shown) + f" | {cost.macs_per_image:,} | {cost.state_bytes:,} |")


def details(frame: pd.DataFrame) -> None:
    """The other metrics, in the hardest and in the kindest of the cells."""
    for drift, length in (cells(frame)[0], cells(frame)[-1]):
        part = frame[(frame.drift == drift) & (frame.run_length == length)]
        print(
            f"\nOther metrics, {drift} drift, runs of {length:.0f}, means over seeds (`-`: the scores do not tell):\n"
        )
        print("| adapter | accuracy % | macro % | top-5 % | NLL, nats | ECE, points | kappa-temporal |")
        print("|---|---|---|---|---|---|---|")
        for _, name in adapters(frame):
            row = part[part.adapter == name].mean(numeric_only=True)
            numbers = [
                number(100 * row.accuracy, 1), number(100 * row.macro_accuracy, 1), number(100 * row.top5_accuracy, 1),
                number(row.nll, 2), number(100 * row.ece, 1), number(row.kappa_temporal, 2),
            ]  # fmt: skip
            print(f"| {name} | " + " | ".join(numbers) + " |")


def number(value: float, digits: int) -> str:
    return "-" if pd.isna(value) else f"{value:.{digits}f}"


if __name__ == "__main__":
    page(sys.argv[1:])
