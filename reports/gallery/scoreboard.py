"""Makes reports/gallery/scoreboard.md of the default module beside its rivals, over kinds of streams.

SMALL="--set clients.count=24 --set clients.cohort=24 --set clients.images=200 --set cloud.threads=1 --workers 0"
P="data={kind: features, train: PHOTOS/train.npz, test: PHOTOS/test.npz, superclasses: PHOTOS/superclasses.csv}"
iciia run scoreboard/glyphs $SMALL --set name=scoreboard-photos --set "$P" --set backbone=null --out reports/scoreboard-photos
iciia run scoreboard/glyphs $SMALL --out reports/scoreboard-glyphs
D="clients.drift: [{kind: none}, {kind: sudden, every: 100, layout: staggered}], clients.order.run_length: [1.0, 8.0]}"
iciia run scoreboard/digits $SMALL --set "sweep={seed: [1, 2, 3], clients.subset.classes: [2, 3, 5], $D" \\
    --out reports/scoreboard-digits
python reports/gallery/scoreboard.py reports/scoreboard-* > reports/gallery/scoreboard.md
"""

import json
import sys

import pandas as pd
from baselines import interval

import sim

TITLES = {
    "scoreboard-photos": "Photographs",
    "scoreboard-clothing": "Clothes",
    "scoreboard-glyphs": "Glyphs",
    "scoreboard-digits": "Digits",
}
BANKS = ("iciia-4", "iciia-16", "iciia-64")
LEVEL = 0.01
"""Half of this, in shares of the images, either way is called level: about what two seeds differ by."""

WHAT_IT_IS = """\
One training of `modules: {any: {}}` a data set and seed, with nothing but defaults, serves every row. Streaming protocol: predict,
score, remember; everything starts empty. Gain over the backbone in points of accuracy, paired by client, mean over three seeds
(training, split and streams all anew) with its 95 % t-interval over the seeds. All adapters see the same streams in the same pass.
The module and the filter are told the cloud's superclasses; LAME, EM, the hidden Markov model and FLH-FTL are not.

PHOTOS holds features of real photographs: 202 classes of ImageNet in 69 superclasses, at 64 pixels (Tiny-ImageNet), through an
EfficientNet-Lite0 that was pretrained on ImageNet. Streams are smaller here than in the shipped scenarios: 24 clients of 200
images; digits are without drift or with sudden drifts."""

SAYS = """\
- **One training leads every rival, told or not, in all cells of photographs**, by 8 to 19 points over the best that is told
  nothing and by 3 to 10 over the filter where clients follow superclasses. Where they do not, the filter is 20 to 25 points below
  the backbone on single images, and the module 10 to 29 above it. The prediction held, and was too low.
- **Not all of that is adapting.** The module also refits the head, on images that the backbone has not been trained on. That alone
  gained about 8 points on these photographs
  ([the ablation](../../docs/default_module.md#what-was-tried-and-left-out)), and a cloud that did so would give them to every
  client and every rival. On 40 random classes and single images, at banks of 4 and 16, it is nearly all that there is.
- **On glyphs it leads in all cells too**, and is nowhere behind the filter: 0.1 to 0.6 points ahead of it on single images of one
  superclass, where the filter is about level with the oracle, and 3 to 4 points ahead on runs. On runs of 8 of random classes and
  on single images of forty classes its lead over the best other, a hidden Markov model or EM, is 0.5 to 3 points, and most of
  those intervals hold zero.
- **Digits tell nothing apart**, as predicted: the backbone is right for 99 %.
- No mean is below the backbone, in any cell, at any bank. The prediction was too low for glyphs as well: by more than a point on
  single images of ten classes and on runs of one superclass."""

PREDICTED = """\
Written before these runs, from one training of the prototype on the same kinds of streams: on photographs the module at bank 64 is
ahead of the filter and of every other rival in all cells, by 1 to 15 points, and nowhere below the backbone. On glyphs it is within
a point of the filter on clients of one superclass and ahead of the others everywhere, by least (0 to 1 point) on single images of
ten and of forty classes, where EM is strong. Digits tell nothing apart: within a point of the best rival in all cells."""


def main(folders: list[str]) -> None:
    print("# The default module on every kind of stream\n")
    print("Made by:\n")
    print("\n".join(f"    {line}" for line in (__doc__ or "").splitlines()[2:]))
    print(f"\n{WHAT_IT_IS}\n\n## Predicted\n\n{PREDICTED}")
    print(f"\n## What it says\n\n{SAYS}")
    reports = {report.run["name"]: report for report in map(sim.load, folders)}
    for name, heading in TITLES.items():
        if name in reports:
            print(f"\n## {heading}\n")
            board(named(reports[name].sweep))


def named(sweep: pd.DataFrame) -> pd.DataFrame:
    """The sweep with a cell's three coordinates under short names."""
    drift = sweep["clients.drift"].map(lambda value: (json.loads(value) if isinstance(value, str) else value)["kind"])
    runs = sweep["clients.order.run_length"].map({1.0: "single images", 8.0: "runs of 8"})
    return sweep.assign(drift=drift, runs=runs, classes=sweep["clients.subset.classes"].astype(str))


def board(frame: pd.DataFrame) -> None:
    """One row a cell: the module at each bank, the filter, the best rival that is told nothing, the oracle, and who is ahead."""
    first, told = frame.iloc[0], "superclass_filter" in set(frame.adapter)
    print(f"{first.clients} clients x {first.images // first.clients} images a cell and seed.\n")
    heads = ["classes", "drift", "order", "backbone, %", *BANKS]
    heads += (["filter"] if told else []) + ["best other", "oracle", "iciia minus best other"]
    heads += ["iciia minus filter"] if told else []
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    verdicts = []
    for cell, part in frame.groupby(["classes", "drift", "runs"], sort=False):
        gain = part.pivot(index="seed", columns="adapter", values="gain")
        ours = max(BANKS[1:], key=lambda bank: gain[bank].mean())
        others = part[(part.sees == "images") & (part.knows == "nothing") & (part.kind != "backbone")].adapter
        rival = max(sorted(set(others) - set(BANKS)), key=lambda name: gain[name].mean())
        backbone = part[part.adapter == "backbone"].accuracy.mean()
        row = [*cell, f"{100 * backbone:.1f}", *(interval(gain[bank]) for bank in BANKS)]
        row += [interval(gain["superclass_filter"])] if told else []
        row += [f"{interval(gain[rival])} {rival}", interval(gain["oracle"]), interval(gain[ours] - gain[rival])]
        row += [interval(gain[ours] - gain["superclass_filter"])] if told else []
        print("| " + " | ".join(row) + " |")
        verdicts.append(
            (gain[ours] - gain[rival], gain["superclass_filter"] if told else None, gain[ours], gain[list(BANKS)])
        )
    print(f"\n{summary(verdicts, told)}")


def summary(
    verdicts: list[tuple["pd.Series[float]", "pd.Series[float] | None", "pd.Series[float]", pd.DataFrame]], told: bool
) -> str:
    """In how many cells the module is ahead, level or behind, the better of banks 16 and 64 taken."""

    def count(differences: list["pd.Series[float]"]) -> str:
        means = [difference.mean() for difference in differences]
        ahead, behind = sum(mean > LEVEL / 2 for mean in means), sum(mean < -LEVEL / 2 for mean in means)
        level = len(means) - ahead - behind
        worst = 100 * min(means)
        return f"ahead in {ahead}, level (within half a point) in {level}, behind in {behind}; worst cell {worst:+.1f}"

    banks = pd.concat([gains.mean() for *_, gains in verdicts], axis=1)
    lines = [
        f"Of {len(verdicts)} cells, against the best rival that is told nothing: {count([one[0] for one in verdicts])}."
    ]
    if told:
        lines.append(f"Against the filter: {count([one[2] - one[1] for one in verdicts if one[1] is not None])}.")
    below = int((banks < 0).sum().sum())
    lines.append(
        f"Means below the backbone, over all cells and banks: {below} of {banks.size}, the lowest {100 * banks.min().min():+.2f}."
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main(sys.argv[1:])
