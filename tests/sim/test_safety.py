"""Nothing that a stranger hands over is executed, and runs that share a cache do not harm each other."""

import ast
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import sim

ROOT = Path(__file__).parents[2]

OWN_WORDS = {"iciia/testing.py", "sim/streams/checks.py"}
"""They unpickle what they have pickled a line before, to see whether it can travel."""

LOADERS = {
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "dill.load",
    "joblib.load",
    "pd.read_pickle",
    "shelve.open",
    "marshal.loads",
}


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def keyword(call: ast.Call, name: str) -> str | None:
    return next((ast.unparse(one.value) for one in call.keywords if one.arg == name), None)


def test_no_code_of_ours_unpickles_a_file() -> None:
    found = 0
    for path in [*ROOT.glob("sim/**/*.py"), *ROOT.glob("iciia/**/*.py")]:
        place = path.relative_to(ROOT).as_posix()
        for name, call in calls(path):
            where = f"{place}:{call.lineno}"
            assert name not in LOADERS or place in OWN_WORDS, where
            if name == "torch.load":
                assert keyword(call, "weights_only") == "True", where
                found += 1
            if name.endswith("read_array"):
                assert keyword(call, "allow_pickle") == "False", where
            assert keyword(call, "allow_pickle") in (None, "False"), where
            assert keyword(call, "trust_remote_code") in (None, "False"), where
    assert found


class Evil:
    """Leaves a file behind if it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("kind", ["features", "checkpoint", "module"])
def test_a_file_that_would_run_something_runs_nothing(kind: str, tiny: Callable[..., Any], tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    with pytest.raises(FileExistsError):  # the trap works
        pickle.loads(pickle.dumps([Evil(mark), Evil(mark)]))
    mark.rmdir()
    if kind == "features":
        np.savez(
            tmp_path / "evil.npz", features=np.array([Evil(mark)], dtype=object), logits=np.zeros((1, 2)), labels=[0]
        )
        settings = tiny(
            data={"kind": "features", "train": str(tmp_path / "evil.npz"), "test": str(tmp_path / "evil.npz")}
        )
    else:
        torch.save({"state_dict": Evil(mark)}, tmp_path / "evil.pth")
        if kind == "checkpoint":
            backbone = {"model": "test_resnet", "weights": str(tmp_path / "evil.pth"), "image_size": 32}
            settings = tiny(
                data={"kind": "digits"},
                backbone=backbone,
                modules={},
                adapters=["backbone"],
                clients={"count": 2, "subset": {"classes": 2}},
            )
        else:
            settings = tiny(modules={"stream": {"weights": str(tmp_path / "evil.pth"), "heads": 2}})
    with pytest.raises(sim.SimError):
        sim.run(settings, out=tmp_path / "r", workers=0, quiet=True)
    assert not mark.exists()


def test_two_runs_of_one_scenario_at_once(tiny: Callable[..., Any], tmp_path: Path) -> None:
    """They train the same module at the same moment in one cache, and both get it."""
    (tmp_path / "tiny.yaml").write_text(json.dumps(tiny()))
    environment = os.environ | {"ICIIA_CACHE": str(tmp_path / "cache")}
    command = [
        sys.executable,
        "-m",
        "sim.cli",
        "run",
        str(tmp_path / "tiny.yaml"),
        "--workers",
        "0",
        "--quiet",
        "--out",
    ]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    started = [
        subprocess.Popen([*command, str(tmp_path / name)], env=environment, cwd=ROOT, **pipes) for name in ("a", "b")
    ]
    ended = [(process.communicate()[0], process.returncode) for process in started]
    assert [code for _, code in ended] == [0, 0], ended
    first, second = (sim.load(tmp_path / name) for name in ("a", "b"))
    pd.testing.assert_frame_equal(first.summary, second.summary)
    pd.testing.assert_frame_equal(first.events, second.events)
