"""Adds the classifier that logits were made with to a `features` file, by least squares: T3A, StatA and ADAPT need it.

python reports/gallery/with_classifier.py train.npz train_with_classifier.npz
"""

import sys

import numpy as np


def main(source: str, target: str) -> None:
    with np.load(source, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    features = np.column_stack([arrays["features"].astype(np.float64), np.ones(len(arrays["labels"]))])
    logits = arrays["logits"].astype(np.float64)
    found = np.linalg.lstsq(features, logits, rcond=None)[0]
    print(f"largest difference to the logits: {np.abs(features @ found - logits).max():.3g}", file=sys.stderr)
    np.savez(
        target,
        **arrays,
        classifier_weight=found[:-1].T.astype(np.float32),
        classifier_bias=found[-1].astype(np.float32),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
