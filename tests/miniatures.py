"""Miniature copies of published data sets, in the layouts in which they are published: real images and videos, few of them.

python tests/miniatures.py celeba data/celeba
"""

import csv
import itertools
import json
import sys
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ATTRIBUTES = """
    5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair Blurry Brown_Hair
    Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache
    Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks Sideburns Smiling Straight_Hair Wavy_Hair
    Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace Wearing_Necktie Young
"""
"""The 40 of CelebA, in their order."""
ACTIONS = ("ApplyLipstick", "Archery", "HandstandPushups", "Bowling")
WNIDS = ("n01440764", "n01443537", "n01484850", "n01491361", "n02085620", "n02085782")
"""Two bony fish, two cartilaginous fish, two toy dogs."""


def picture(rng: np.random.Generator, hue: float, width: int, height: int) -> Image.Image:
    """Noise around a colour."""
    colour = 127 + 90 * np.cos(2 * np.pi * (hue + np.arange(3) / 3))
    return Image.fromarray(np.clip(rng.normal(colour, 25, (height, width, 3)), 0, 255).astype(np.uint8))


def video(path: Path, frames: Iterable[NDArray[np.uint8]]) -> None:
    """Frames, uint8 [height, width, 3], as MPEG-4 in AVI."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = list(frames)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for pixels in frames:
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


def moving_square(rng: np.random.Generator, hue: float, frames: int = 20) -> Iterable[NDArray[np.uint8]]:
    """A bright square that crosses noise of one colour, 48 x 64 pixels."""
    background = np.array(picture(rng, hue, 64, 48))
    for t in range(frames):
        pixels = background.copy()
        pixels[8:24, 2 * t : 2 * t + 12] = 255
        yield pixels


# --- FEMNIST ----------------------------------------------------------------------------------------------------------


def femnist(folder: Path, writers: int = 8) -> Path:
    """LEAF's `data/femnist/data`: `all_data`, and `train` and `test` by sample. Every writer writes every character twice."""
    rng = np.random.default_rng(1)
    everyone = {f"f{number:04d}_{number % 50:02d}": _writer(rng) for number in range(writers)}
    names = list(everyone)
    for place, part in enumerate((names[: writers // 2], names[writers // 2 :])):
        data = {name: everyone[name] for name in part}
        leaf(folder / "all_data" / f"all_data_{place}.json", data)
        for half, chosen in (("train", slice(0, 111)), ("test", slice(111, None))):
            cut = {name: {axis: values[chosen] for axis, values in one.items()} for name, one in data.items()}
            leaf(folder / half / f"all_data_{place}_niid_0_keep_0_{half}_9.json", cut)
    return folder


def _writer(rng: np.random.Generator) -> dict[str, list]:  # type: ignore[type-arg]
    labels = rng.permutation(np.repeat(np.arange(62), 2)).tolist()
    return {"x": [_character(CHARACTERS[label], rng).tolist() for label in labels], "y": labels}


def _character(character: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """A character on white paper, float64 [784], 0 to 1."""
    image = Image.new("L", (28, 28), 255)
    x, y = rng.integers(7, 9, size=2).tolist()
    ImageDraw.Draw(image).text((x, y - 3), character, fill=int(rng.integers(0, 40)), font_size=18)
    return np.asarray(image).flatten() / 255


def leaf(file: Path, data: dict[str, dict[str, list]]) -> None:  # type: ignore[type-arg]
    """One of LEAF's JSON files."""
    file.parent.mkdir(parents=True, exist_ok=True)
    counts = [len(one["y"]) for one in data.values()]
    file.write_text(json.dumps({"users": list(data), "num_samples": counts, "user_data": data}))


# --- CelebA -----------------------------------------------------------------------------------------------------------


def celeba(folder: Path, people: int = 10, images: int = 6) -> Path:
    """The authors' files in one folder: 178 x 218 pixels, a line for each image in every list; people 1 to 6 are in partition 0,
    7 in 1 and the others in 2. LEAF's `train` and `test`, by person, lie beside them."""
    rng = np.random.default_rng(2)
    (folder / "img_align_celeba").mkdir(parents=True)
    names = ATTRIBUTES.split()
    lines: dict[str, list[str]] = {"list_attr_celeba.txt": [str(people * images), " ".join(names) + " "]}
    halves: dict[str, dict[str, dict[str, list]]] = {"train": {}, "test": {}}  # type: ignore[type-arg]
    smiling = names.index("Smiling")
    for number in range(people * images):
        person = 1 + number // images
        name = f"{number + 1:06d}.jpg"
        values = rng.integers(0, 2, len(names))
        values[smiling] = number % 2
        picture(rng, 0.5 * values[smiling], 178, 218).save(folder / "img_align_celeba" / name)
        lines["list_attr_celeba.txt"].append(f"{name} " + " ".join(f"{2 * value - 1:2d}" for value in values))
        part = 0 if person <= 6 else 1 if person == 7 else 2
        lines.setdefault("identity_CelebA.txt", []).append(f"{name} {person}")
        lines.setdefault("list_eval_partition.txt", []).append(f"{name} {part}")
        user = halves["test" if part == 2 else "train"].setdefault(str(person), {"x": [], "y": []})
        user["x"].append(name)
        user["y"].append(int(values[smiling]))
    for name, text in lines.items():
        (folder / name).write_text("\n".join(text) + "\n")
    for half, data in halves.items():
        leaf(folder / half / f"all_data_niid_0_keep_0_{half}_9.json", data)
    return folder


# --- iNaturalist 2019 -------------------------------------------------------------------------------------------------


def inaturalist(folder: Path, classes: int = 5, clients: int = 6, images: int = 12, tests: int = 6) -> Path:
    """The competition's `train_val2019` and FedScale's `client_data_mapping`."""
    rng = np.random.default_rng(3)
    for half, count in (("train", images), ("val", tests)):
        rows = []
        for label, place in itertools.product(range(classes), range(count)):
            name = f"train_val2019/{'Birds' if label < 2 else 'Plants'}/{label}/{half}{place:030x}.jpg"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            picture(rng, label / classes, 80, 60).save(folder / name)
            rows.append([(label + place) % clients, name, f"Genus species{label}", label])
        write_csv(
            folder / "client_data_mapping" / f"{half}.csv", ["client_id", "data_path", "label_name", "label_id"], rows
        )
    return folder


def write_csv(file: Path, header: list[str], rows: Iterable[list[object]]) -> None:
    """A CSV file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


# --- ImageNet-1K ------------------------------------------------------------------------------------------------------


def imagenet(folder: Path, images: int = 12, tests: int = 6) -> Path:
    """`train/WNID/WNID_N.JPEG` and `val/WNID/ILSVRC2012_val_N.JPEG` of six classes."""
    rng = np.random.default_rng(4)
    for label, wnid in enumerate(WNIDS):
        for half, count in (("train", images), ("val", tests)):
            (folder / half / wnid).mkdir(parents=True)
            for place in range(count):
                number = tests * label + place + 1
                name = f"{wnid}_{place}.JPEG" if half == "train" else f"ILSVRC2012_val_{number:08d}.JPEG"
                picture(rng, label / len(WNIDS), 75, 50).save(folder / half / wnid / name, "JPEG")
    return folder


# --- UCF101 -----------------------------------------------------------------------------------------------------------


def ucf101(folder: Path) -> Path:
    """`UCF-101` and `ucfTrainTestlist` of four classes: 25 groups of one or two clips; groups 1 to 7 are for testing in fold 1,
    8 to 14 in fold 2, 15 to 21 in fold 3."""
    rng = np.random.default_rng(5)
    lists = folder / "ucfTrainTestlist"
    lists.mkdir(parents=True)
    (lists / "classInd.txt").write_text("".join(f"{c} {name}\n" for c, name in enumerate(ACTIONS, start=1)))
    found = []
    for label, name in enumerate(ACTIONS):
        said = name.replace("Handstand", "HandStand")  # so it is in the published files
        for group, clip in itertools.product(range(1, 26), (1, 2)):
            if clip == 2 and group % 4:
                continue
            file = f"{name}/v_{said}_g{group:02d}_c{clip:02d}.avi"
            video(folder / "UCF-101" / file, moving_square(rng, label / len(ACTIONS)))
            found.append((group, file, label + 1))
    for fold in (1, 2, 3):
        tests = range(7 * fold - 6, 7 * fold + 1)
        train = [f"{file} {number}\n" for group, file, number in found if group not in tests]
        (lists / f"trainlist{fold:02d}.txt").write_text("".join(train))
        (lists / f"testlist{fold:02d}.txt").write_text(
            "".join(f"{file}\n" for group, file, _ in found if group in tests)
        )
    return folder


# --- photographs of one's own -----------------------------------------------------------------------------------------

THINGS = ("cup", "hat", "lamp", "shoe", "spoon")


def thing(rng: np.random.Generator, label: int) -> Image.Image:
    return picture(rng, label / len(THINGS) + rng.normal(0, 0.08), 64, 48)


def image_folder(folder: Path, images: int = 40) -> Path:
    """`CLASS/N.jpg` of five classes, each a colour; one in five is nearer to the next one's."""
    rng = np.random.default_rng(6)
    for label, name in enumerate(THINGS):
        (folder / name).mkdir(parents=True)
        for place in range(images):
            thing(rng, label).save(folder / name / f"{place}.jpg")
    return folder


def image_table(folder: Path, people: int = 36, images: int = 12) -> Path:
    """`images.csv` with the columns image, label, person and taken, and `images/IMAGE.jpg`. A person has two things and, once,
    another one; a day's photographs are minutes apart and of one thing."""
    rng = np.random.default_rng(7)
    (folder / "images").mkdir(parents=True)
    rows = []
    for person in range(people):
        things = rng.permutation(len(THINGS))
        for place in range(images):
            label = things[2] if place == images - 1 else things[place // 3 % 2]
            taken = datetime(2024, 5, 1, 12) + timedelta(days=person + place // 3, minutes=7 * (place % 3))
            name = f"{person:02d}{place:02d}"
            thing(rng, label).save(folder / "images" / f"{name}.jpg")
            rows.append([name, THINGS[label], 100 + person, taken.isoformat()])
    write_csv(
        folder / "images.csv", ["image", "label", "person", "taken"], [rows[i] for i in rng.permutation(len(rows))]
    )
    return folder


MINIATURES: dict[str, Callable[[Path], Path]] = {
    "femnist": femnist,
    "celeba": celeba,
    "inaturalist": inaturalist,
    "imagenet": imagenet,
    "ucf101": ucf101,
    "image_folder": image_folder,
    "image_table": image_table,
}
"""By `data.kind`."""

if __name__ == "__main__":
    MINIATURES[sys.argv[1]](Path(sys.argv[2]))
