"""Classes of the user's own: every notation finds the class, and what it cannot find it says so."""

import pickle
from pathlib import Path

import pytest

from iciia.imports import import_class
from iciia.policies import Decay, Policy


@pytest.mark.parametrize("path", ["iciia.policies.Decay", "iciia.policies:Decay", "iciia.policies.decay:Decay"])
def test_what_python_can_import(path: str) -> None:
    assert import_class(path, Policy) is Decay


def test_a_class_in_a_file_is_one_class_and_can_be_pickled(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("class Mine:\n    pass\n")
    found = import_class(f"{tmp_path}/mine.py:Mine", object)
    assert import_class(f"{tmp_path}/../{tmp_path.name}/mine.py:Mine", object) is found
    assert type(pickle.loads(pickle.dumps(found()))) is found


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (
            "nowhere.at_all.Thing",
            r"cannot be imported \(ModuleNotFoundError: No module named 'nowhere'\); give package",
        ),
        ("iciia.policies:Thing", r"cannot be imported \(AttributeError: .*\); give package.module.Class, which Python"),
        ("nowhere.py:Thing", r"cannot be imported \(FileNotFoundError: .*\); give .* or file.py:Class"),
        ("iciia.policies.Slots", 'got "iciia.policies.Slots", which is no subclass of Policy'),
        ("iciia.policies.POLICIES", "which is no subclass of Policy"),
    ],
)
def test_what_is_not_there_is_refused(path: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        import_class(path, Policy)
