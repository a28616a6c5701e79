"""The authors' checkpoints give the authors' outputs: `tests/golden` was written by their implementation."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from iciia import ICIIA

GOLDEN = sorted((Path(__file__).parent.parent / "golden").glob("reference_*.npz"))


def load(path: Path) -> tuple[ICIIA, dict[str, np.ndarray], dict[str, object]]:
    with np.load(path) as file:
        arrays = dict(file)
    state = {
        name.removeprefix("state/"): torch.from_numpy(v) for name, v in arrays.items() if name.startswith("state/")
    }
    config = json.loads(str(arrays["config"]))
    return ICIIA.from_reference(state, heads=config["heads"]), arrays, config


def test_there_are_golden_files() -> None:
    assert len(GOLDEN) == 4


@pytest.mark.parametrize("size", [1, 5, 16])
@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden(path: Path, size: int) -> None:
    module, arrays, _ = load(path)
    features, expected = (torch.from_numpy(arrays[f"set{size}/{name}"]) for name in ("features", "logits"))
    backbone_logits = torch.zeros(1, size, expected.shape[1])
    with torch.inference_mode():
        whole = module.forward_sets(features[None], backbone_logits)[0]
        torch.testing.assert_close(whole, expected, rtol=1e-5, atol=1e-5)
        # the same set met as a stream: the last image's bank holds all the others
        streamed, _ = module(features[None], backbone_logits, module.empty_bank(1, size - 1))
    torch.testing.assert_close(streamed[0, -1], expected[-1], rtol=1e-5, atol=1e-5)


def test_what_is_no_checkpoint_of_theirs() -> None:
    with pytest.raises(ValueError, match=r"classifier.weight is missing"):
        ICIIA.from_reference({})
