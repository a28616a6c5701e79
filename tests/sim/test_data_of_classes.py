"""ImageNet-1K and UCF101: what is read is what the files say, from every layout that people have; every kind of damage gets its one
message."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from damage import Miniature, edit, halve, opened, refused
from miniatures import WNIDS, moving_square, video, write_csv
from PIL import Image
from scipy.io import savemat

from sim.cloud.spec import split
from sim.engine.parts import cloud_spec
from sim.scenario.scenario import Scenario

# --- ImageNet-1K ------------------------------------------------------------------------------------------------------


def test_imagenet_has_its_classes_and_superclasses(miniature: Miniature) -> None:
    data = opened(miniature("imagenet"), "imagenet")
    assert [name.split(",")[0] for name in data.classes.names] == [
        "tench", "goldfish", "great white shark", "tiger shark", "Chihuahua", "Japanese spaniel",
    ]  # fmt: skip
    assert data.classes.superclass is not None
    assert data.classes.superclass.tolist() == [0, 0, 1, 1, 2, 2]
    assert list(data.classes.superclass_names) == ["bony fish, food fish", "cartilaginous fish", "toy dog"]
    assert np.bincount(data.train.labels).tolist() == [12] * 6
    assert np.bincount(data.test.labels).tolist() == [6] * 6


def flatten(folder: Path) -> dict[str, str]:
    """Takes the validation images out of their folders, as they are published; class by name."""
    found = {}
    for file in sorted((folder / "val").glob("*/*")):
        found[file.stem] = file.parent.name
        file.rename(folder / "val" / file.name)
    for wnid in WNIDS:
        (folder / "val" / wnid).rmdir()
    return found


def test_flat_validation_images_of_kaggle(copy: Callable[[str], Path]) -> None:
    folder = copy("imagenet")
    before = opened(folder, "imagenet")
    pixels = before.test.read(np.arange(36))
    inside = folder / "ILSVRC" / "Data" / "CLS-LOC"
    inside.mkdir(parents=True)
    wnids = flatten(folder)
    for half in ("train", "val"):
        (folder / half).rename(inside / half)
    assert refused(inside, "imagenet") == (
        "DATA: its val has no class folders, and there is neither LOC_val_solution.csv (there or up to 3 folders above) nor "
        "ILSVRC2012_validation_ground_truth.txt with meta.mat (there or in ILSVRC2012_devkit_t12/data) to say what the images show"
    )
    rows = [[name, f"{wnid} 85 1 499 272 "] for name, wnid in wnids.items()]
    write_csv(folder / "LOC_val_solution.csv", ["ImageId", "PredictionString"], rows)  # type: ignore[arg-type]
    data = opened(inside, "imagenet")
    assert np.array_equal(data.test.labels, before.test.labels)
    assert torch.equal(data.test.read(np.arange(36)), pixels)
    Image.new("RGB", (9, 9)).save(inside / "val" / "other.JPEG")
    assert refused(inside, "imagenet") == "val: other.JPEG has no class in the list of validation images"
    (folder / "LOC_val_solution.csv").write_text("ImageId\na\n")
    assert refused(inside, "imagenet") == (
        f"{folder}/LOC_val_solution.csv: has no column 'PredictionString' (its class) (it has ImageId)"
    )


def test_flat_validation_images_with_the_development_kit(copy: Callable[[str], Path]) -> None:
    """Its numbers are not those of the sorted classes; wnids of classes without a folder are left out."""
    folder = copy("imagenet")
    before = opened(folder, "imagenet")
    wnids = flatten(folder)
    kit = folder / "ILSVRC2012_devkit_t12" / "data"
    kit.mkdir(parents=True)
    numbers = {wnid: number for number, wnid in enumerate(reversed(WNIDS), start=1)}
    synsets = np.array(
        [(number, wnid, "words") for wnid, number in numbers.items()],
        dtype=[("ILSVRC2012_ID", object), ("WNID", object), ("words", object)],
    )
    savemat(kit / "meta.mat", {"synsets": synsets[:, None]})
    truth = kit / "ILSVRC2012_validation_ground_truth.txt"
    truth.write_text("".join(f"{numbers[wnids[name]]}\n" for name in sorted(wnids)))
    assert np.array_equal(opened(folder, "imagenet").test.labels, before.test.labels)
    shutil.rmtree(folder / "train" / WNIDS[-1])
    assert np.bincount(opened(folder, "imagenet").test.labels).tolist() == [6] * 5
    truth.write_text("1001\n")
    assert refused(folder, "imagenet") == (
        "ILSVRC2012_devkit_t12/data: ILSVRC2012_validation_ground_truth.txt and meta.mat cannot be read together: 1001"
    )


def test_damaged_imagenet(copy: Callable[[str], Path]) -> None:
    folder = copy("imagenet")
    (folder / "val" / WNIDS[1]).rename(folder / "val" / "n99999999")
    assert refused(folder, "imagenet") == (
        f"val: its class folders differ from those of train: val lacks {WNIDS[1]}; train lacks n99999999"
    )
    (folder / "train" / WNIDS[1]).rename(folder / "train" / "n99999999")
    assert (
        refused(folder, "imagenet") == "train: n99999999 is none of the 1,000 classes of ImageNet-1K, such as n01440764"
    )
    shutil.rmtree(folder / "train" / "n99999999")
    shutil.rmtree(folder / "val" / "n99999999")
    for file in (folder / "val" / WNIDS[0]).iterdir():
        halve(file)
    assert refused(folder, "imagenet") == (
        "DATA: 6 of 90 files cannot be read (0 missing, 6 broken), more than the allowed share of "
        "0.01 (data.unreadable_share); for example "
        f"{WNIDS[0]}/ILSVRC2012_val_00000001.JPEG, {WNIDS[0]}/ILSVRC2012_val_00000002.JPEG, "
        f"{WNIDS[0]}/ILSVRC2012_val_00000003.JPEG"
    )
    assert refused(folder, "imagenet", unreadable_share=0.1) == (
        f"val: class {WNIDS[0]} (tench, Tinca tinca) has no readable image"
    )
    shutil.rmtree(folder / "val")
    assert refused(folder, "imagenet") == "val: no such folder; expected the validation images"
    shutil.rmtree(folder / "train")
    assert (
        refused(folder, "imagenet") == "train: cannot be read as a folder of class folders: No such file or directory"
    )


# --- UCF101 -----------------------------------------------------------------------------------------------------------


def test_ucf101_is_what_its_lists_say(miniature: Miniature) -> None:
    data = opened(miniature("ucf101"), "ucf101")
    assert list(data.classes.names) == ["ApplyLipstick", "Archery", "HandstandPushups", "Bowling"]
    assert data.classes.superclass is not None
    assert [data.classes.superclass_names[s] for s in data.classes.superclass] == [
        "Human-Object Interaction", "Sports", "Body-Motion Only", "Sports",
    ]  # fmt: skip
    assert np.bincount(data.train.labels).tolist() == [18 + 5] * 4  # groups 8 to 25, two clips of each fourth
    assert np.bincount(data.test.labels).tolist() == [7 + 1] * 4
    assert data.shapes is not None
    assert np.unique(data.shapes, axis=0).tolist() == [[20, 48, 64]]
    other = opened(miniature("ucf101"), "ucf101", fold=3)
    assert np.bincount(other.test.labels).tolist() == [7 + 2] * 4
    assert other.key != data.key


def test_a_clip_is_the_middle_of_its_video(copy: Callable[[str], Path]) -> None:
    """Of 21 and of 16 frames that grow brighter; the compression is off by a few of 255."""
    folder = copy("ucf101")
    for group, count in ((8, 21), (9, 16)):
        grey = [np.full((48, 64, 3), 10 * t, np.uint8) for t in range(count)]
        video(folder / "UCF-101" / "ApplyLipstick" / f"v_ApplyLipstick_g{group:02d}_c01.avi", grey)
    data = opened(folder, "ucf101")
    assert data.train.frames == 16  # type: ignore[attr-defined]
    names = list(data.train.names)  # type: ignore[attr-defined]
    places = [names.index(f"ApplyLipstick/v_ApplyLipstick_g{group:02d}_c01.avi") for group in (9, 8)]
    clips = data.train.read(np.array(places))
    assert (clips.shape, clips.dtype) == ((2, 3, 16, 32, 32), torch.uint8)
    for clip, first in zip(clips, (0, 2), strict=True):
        np.testing.assert_allclose(clip.float().mean((0, 2, 3)), 10 * (first + np.arange(16)), atol=4)


def test_groups_stay_together_in_every_part(miniature: Miniature) -> None:
    """Also where the cloud's images are cut, with a backbone trained here and with one that is given."""
    data = opened(miniature("ucf101"), "ucf101")
    names = np.array(data.train.names)  # type: ignore[attr-defined]
    groups = np.array([name.rsplit("_", 1)[0] for name in names])
    for weights in ("train", "pretrained"):
        scenario = Scenario.model_validate(
            {
                "name": "x", "seed": 5, "data": {"kind": "ucf101", "path": "x"}, "backbone": {"model": "c3d", "weights": weights},
                "clients": {"count": 1, "images": 8}, "adapters": ["backbone"],
            }
        )  # fmt: skip
        parts = split(cloud_spec(scenario), data)
        assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(len(names)))
        seen = [set(groups[part]) for part in parts.values()]
        for place, one in enumerate(seen):
            assert not any(one & other for other in seen[place + 1 :])
        for part in ("module", "validation"):
            assert np.bincount(data.train.labels[parts[part]], minlength=4).min() >= 1


LISTS = "ucfTrainTestlist"


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("classInd.txt", "2 Archery", "3 Archery", "line 2 is '3 Archery'; expected '2 CLASS'"),
        ("classInd.txt", "2 Archery", "2 Arrows", "Arrows is none of the 101 classes of UCF101, such as ApplyEyeMakeup"),
        ("testlist01.txt", "Archery/", "Arrows/", "line 9 names the class Arrows, which classInd.txt does not"),
        ("trainlist01.txt", "_c01.avi 1", "_c01.avi 2", "line 1 numbers ApplyLipstick 2, and classInd.txt 1"),
        (
            "trainlist01.txt", "_g08_c01.avi 1", "_c01.avi 1",
            "line 1 is 'ApplyLipstick/v_ApplyLipstick_c01.avi 1'; expected CLASS/v_CLASS_gXX_cXX.avi and at most the number of its "
            "class",
        ),
        (
            "testlist01.txt", "_g04_c01.avi", "_g24_c01.avi",
            "ApplyLipstick/v_ApplyLipstick_g24_c01.avi is of the same group as ApplyLipstick/v_ApplyLipstick_g24_c01.avi in "
            "trainlist01.txt",
        ),
    ],
)  # fmt: skip
def test_damaged_lists_of_ucf101(copy: Callable[[str], Path], file: str, old: str, new: str, message: str) -> None:
    folder = copy("ucf101")
    edit(folder / LISTS / file, old, new)
    assert refused(folder, "ucf101") == f"{LISTS}/{file}: {message}"


def test_missing_lists_and_videos(copy: Callable[[str], Path]) -> None:
    folder = copy("ucf101")
    (folder / LISTS / "testlist01.txt").write_text("\n")
    assert refused(folder, "ucf101") == f"{LISTS}/testlist01.txt: names no videos"
    (folder / LISTS / "testlist01.txt").unlink()
    assert refused(folder, "ucf101").startswith(f"{LISTS}/testlist01.txt: cannot be read: [Errno 2] No such file")
    (folder / "UCF-101").rename(folder / "videos")
    assert refused(folder, "ucf101") == "UCF-101: no such folder; expected the folders of classes of UCF101.rar"


def test_truncated_short_and_foreign_videos(copy: Callable[[str], Path]) -> None:
    folder = copy("ucf101")
    archery = folder / "UCF-101" / "Archery"
    halve(archery / "v_Archery_g01_c01.avi")
    video(archery / "v_Archery_g02_c01.avi", moving_square(np.random.default_rng(0), 0.5, frames=15))
    (archery / "v_Archery_g08_c01.avi").write_text("no video")
    with av.open(str(archery / "v_Archery_g09_c01.avi"), "w") as container:  # sound alone
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
    (archery / "v_Archery_g10_c01.avi").unlink()
    data = opened(folder, "ucf101", unreadable_share=0.05)
    assert list(data.missing) == ["Archery/v_Archery_g10_c01.avi"]
    assert sorted(data.skipped) == [f"Archery/v_Archery_g{group}_c01.avi" for group in ("01", "02", "08", "09")]
    assert refused(folder, "ucf101") == (
        "UCF-101: 5 of 124 files cannot be read (1 missing, 4 broken), more than the allowed share of "
        "0.01 (data.unreadable_share); for example "
        "Archery/v_Archery_g10_c01.avi, Archery/v_Archery_g08_c01.avi, Archery/v_Archery_g09_c01.avi"
    )
    for file in archery.glob("*_g0[1-7]_*"):
        file.unlink()
    assert refused(folder, "ucf101", unreadable_share=0.1) == (
        f"{LISTS}/testlist01.txt: class Archery has no readable video"
    )


def test_videos_need_pyav(copy: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copy("ucf101")
    monkeypatch.setitem(sys.modules, "av", None)
    assert refused(folder, "ucf101") == (
        "videos are read by PyAV, which is not installed; pip install 'iciia-sim[video]'"
    )
