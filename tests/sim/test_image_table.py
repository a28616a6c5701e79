"""A table of photographs, and a list of clients beside a folder: any column names, CSV or Parquet, whose each image is and when it
was taken; clients meet their images in time; every fault is one clear error."""

import contextlib
import csv
import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from damage import mutated
from PIL import Image
from typer.testing import CliRunner

import sim
from iciia.cloud.preprocessing import Preprocessing
from sim.cache import Cache
from sim.cli import app
from sim.data import Images, open_data
from sim.data import table as table_module
from sim.data.table import read_table
from sim.data.times import BadTimeError, read_times, shown_span, shown_time
from sim.errors import DataError, ScenarioError
from sim.scenario.file import read
from sim.scenario.validation import validate

Make = Callable[..., dict[str, Any]]
Row = dict[str, Any]
KINDS = ("T-Shirt", "Shoes", "Not sure")
START = datetime(2024, 5, 31, 18, 2)


def rows(people: int = 8, images: int = 6) -> list[Row]:
    """Every person has shirts and shoes in turn and one that nobody knew; photographs were taken in no order, three hours apart."""
    rng = np.random.default_rng(0)
    found = []
    for person in range(people):
        when = rng.permutation(images)
        for number in range(images):
            kind = KINDS[2] if number == images - 1 else KINDS[number % 2]
            taken = START + timedelta(days=person, hours=3 * int(when[number]))
            found.append(
                {"image": f"{person}-{number}", "kind of clothes": kind, "sender": 40 + 3 * person, "taken": taken}
            )
    return [found[place] for place in rng.permutation(len(found))]


def write(folder: Path, table: list[Row], name: str = "images.csv", **options: Any) -> Path:
    """The table and the photographs that it lists."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    for row in table:
        base = {"T-Shirt": 60, "Shoes": 190}.get(row.get("kind of clothes", ""), 120)
        pixels = rng.normal(base, 25, (20, 24, 3)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{row['image']}.jpg")
    frame = pd.DataFrame(table)
    if name.endswith(".parquet"):
        frame.to_parquet(folder / name)
    else:
        frame.to_csv(folder / name, index=False, **options)
    return folder


def settings(folder: Path, **changes: Any) -> dict[str, Any]:
    found = {
        "kind": "image_table", "path": str(folder), "table": "images.csv", "file": "images/{image}.jpg", "label": "kind of clothes",
        "client": "sender", "time": "taken", "drop": {"kind of clothes": ["Not sure", "Other"]},
    }  # fmt: skip
    return {name: value for name, value in (found | changes).items() if value is not None}


def scenario(tiny: Make, data: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return tiny(
        **{
            "data": data,
            "backbone": {"model": "resnet10t", "weights": "train", "epochs": 1, "image_size": 32},
            "modules": {},
            "adapters": ["backbone"],
            "clients": {"source": "natural", "count": 2, "images": "all", "cohort": 2},
        }
        | sections
    )


def opened(tiny: Make, data: dict[str, Any]) -> Images:
    found = open_data(validate(read(scenario(tiny, data))).data, 1, Preprocessing(16), Cache())
    assert isinstance(found, Images)
    return found


def refused(tiny: Make, folder: Path, data: dict[str, Any]) -> str:
    with pytest.raises(DataError) as raised:
        opened(tiny, data)
    return str(raised.value).replace(f"{folder}/", "").replace(str(folder), "DATA")


def test_a_table_is_read(tiny: Make, tmp_path: Path) -> None:
    table = [row for row in rows() if row["kind of clothes"] != "Not sure"]
    data = opened(tiny, settings(write(tmp_path, rows())))
    assert list(data.classes.names) == ["Shoes", "T-Shirt"]
    assert list(data.notes) == [
        "left out 8 rows with kind of clothes 'Not sure' (data.drop)",
        "left out 0 rows with kind of clothes 'Other' (data.drop)",
    ]
    seen = {}
    for half, clients, times in (
        (data.train, data.train_clients, data.train_times),
        (data.test, data.test_clients, data.test_times),
    ):
        assert clients is not None
        assert times is not None
        for place, name in enumerate(half.names):  # type: ignore[attr-defined]
            seen[name] = (half.labels[place], clients[place], times[place])
    expected = {
        f"images/{row['image']}.jpg": (
            ["Shoes", "T-Shirt"].index(row["kind of clothes"]), row["sender"], pd.Timestamp(row["taken"], tz="UTC").timestamp(),
        )
        for row in table
    }  # fmt: skip
    assert seen == expected
    assert data.test.read(np.array([0])).shape == (1, 3, 16, 16)


def test_nobody_is_on_both_sides_unless_images_are_cut(tiny: Make, tmp_path: Path) -> None:
    folder = write(tmp_path, rows())
    apart = opened(tiny, settings(folder))
    assert (len(np.unique(apart.train_clients)), len(np.unique(apart.test_clients))) == (
        6,
        2,
    )  # 5.6 and 2.4 of 8 people
    assert not set(apart.train_clients) & set(apart.test_clients)  # type: ignore[arg-type]
    mixed = opened(tiny, settings(folder, split="image", test_share=0.25))
    assert np.bincount(mixed.test.labels).tolist() == [4, 6]  # a quarter of 16 and of 24
    assert set(mixed.train_clients) & set(mixed.test_clients)  # type: ignore[arg-type]
    assert opened(tiny, settings(folder, client=None, time=None, test_share=0.25)).key != mixed.key
    assert apart.key != mixed.key


def test_a_column_may_say_the_sides(tiny: Make, tmp_path: Path) -> None:
    table = [{**row, "part": ("a", "b", "c", "d")[number % 4]} for number, row in enumerate(rows())]
    data = settings(write(tmp_path, table), split={"column": "part", "train": ["a", "b"], "test": ["c", "d"]})
    found = opened(tiny, data)
    kept = [row for row in table if row["kind of clothes"] != "Not sure"]
    assert found.train.names == [f"images/{row['image']}.jpg" for row in kept if row["part"] in "ab"]  # type: ignore[attr-defined]
    assert found.test.names == [f"images/{row['image']}.jpg" for row in kept if row["part"] in "cd"]  # type: ignore[attr-defined]
    less = settings(tmp_path, split={"column": "part", "train": ["a", "b"], "test": ["c"]})
    text = refused(tiny, tmp_path, less)
    assert " has part 'd', which is neither in data.split.train nor in data.split.test; the column holds " in text
    gone = settings(tmp_path, split={"column": "part", "train": ["a", "b", "c", "d"], "test": ["e"]})
    assert refused(tiny, tmp_path, gone) == "images.csv: no row has a part of data.split.test: e"


@pytest.mark.parametrize("name", ["images.parquet", "semicolons.csv", "spaces.csv", "utf16.csv"])
def test_every_way_to_save_a_table(tiny: Make, tmp_path: Path, name: str) -> None:
    folder = write(tmp_path, rows())
    expected = opened(tiny, settings(folder))
    options: dict[str, Any] = {
        "semicolons.csv": {"sep": ";", "encoding": "utf-8-sig"}, "utf16.csv": {"sep": "\t", "encoding": "utf-16"},
    }.get(name, {})  # fmt: skip
    write(folder, rows(), name, **options)
    if name == "spaces.csv":
        (folder / name).write_text((folder / "images.csv").read_text().replace(",", " , ").replace("\n", "\n\n"))
    assert opened(tiny, settings(folder, table=name)).key == expected.key


def test_a_column_may_hold_the_paths(tiny: Make, tmp_path: Path) -> None:
    table = [{**row, "file": rf"images\{row['image']}.jpg"} for row in rows()]
    folder = write(tmp_path, table)
    assert opened(tiny, settings(folder, file="file")).key == opened(tiny, settings(folder)).key


def test_clients_by_name_are_numbered_in_order(tiny: Make, tmp_path: Path) -> None:
    table = [{**row, "sender": f"person {row['sender'] % 10}"} for row in rows(people=3)]
    data = opened(tiny, settings(write(tmp_path, table), split="image"))
    places = {
        f"images/{row['image']}.jpg": sorted({one["sender"] for one in table}).index(row["sender"]) for row in table
    }
    assert data.train_clients is not None
    assert [places[name] for name in data.train.names] == data.train_clients.tolist()  # type: ignore[attr-defined]


def test_what_decides_the_features_is_in_the_key(tiny: Make, tmp_path: Path) -> None:
    """Of the same photographs: other labels, other clients, other times."""
    folder = write(tmp_path, rows())
    keys = [dict(opened(tiny, settings(folder)).key)]
    for change in ({"kind of clothes": "Shoes"}, {"sender": 40}, {"taken": START}):
        changed = rows()
        changed[[row["image"] for row in changed].index("3-2")] |= change
        write(folder, changed)
        keys.append(dict(opened(tiny, settings(folder)).key))
    write(folder, rows())
    assert keys[0] == opened(tiny, settings(folder)).key
    assert len({str(key) for key in keys}) == 4


# --- faults ---


def emptied(column: str, cell: str = "") -> list[Row]:
    found: list[Row] = [{**row, "taken": row["taken"].isoformat()} for row in rows()]
    for row in [row for row in found if row["kind of clothes"] != "Not sure"][3:30:9]:
        row[column] = cell
    return found


HAS = "(it has image, kind of clothes, sender, taken)"
ALL_ROWS, NO_SHOES = {"kind of clothes": list(KINDS)}, {"kind of clothes": ["Not sure", "Shoes"]}


@pytest.mark.parametrize(
    ("table", "changes", "message"),
    [
        (rows(), {"label": "kind_of_clothes"}, f"'kind_of_clothes' (data.label); did you mean \"kind of clothes\"? {HAS}"),
        (rows(), {"client": "who"}, f"images.csv: has no column 'who' (data.client) {HAS}"),
        (rows(), {"time": "when"}, f"images.csv: has no column 'when' (data.time) {HAS}"),
        (rows(), {"file": "images/{name}.jpg"}, f"images.csv: has no column 'name' (data.file, name) {HAS}"),
        (rows(), {"file": "photos"}, f"images.csv: has no column 'photos' (data.file, photos) {HAS}"),
        (rows(), {"drop": {"colour": ["red"]}}, f"images.csv: has no column 'colour' (data.drop, colour) {HAS}"),
        (rows(), {"table": "image.csv"}, "image.csv: cannot be read as a table of images: [Errno 2] No such file"),
        (rows(), {"file": "images/{image}.png"}, "DATA: none of the 40 files that data.file names is there; the first is images/"),
        (rows(), {"file": "images/{image}.png"}, f"and there is a {rows()[0]['image']}.jpg"),
        (rows(), {"file": "{image}.jpg"}, "jpg, and DATA holds no file of that name"),
        (rows(), {"file": "photos/{image}.jpg"}, "jpg, and there is no folder photos"),
        (emptied("sender"), {}, "images.csv: column 'sender' (data.client) is empty in 3 of 40 rows, the first is line "),
        (emptied("sender"), {}, 'fill it, or leave those rows out: data.drop: {sender: [""]}'),
        (emptied("kind of clothes"), {}, "images.csv: column 'kind of clothes' (data.label) is empty in 3 of 40 rows"),
        (emptied("taken"), {}, "images.csv: column 'taken' (data.time) is empty in 3 of 40 rows"),
        (emptied("taken", "31.05.2024"), {}, "column 'taken' (data.time): got '31.05.2024'; expected a date or time such as 2024-"),
        (emptied("taken", "2024-05-31T18:00Z"), {}, "without an offset from UTC, and other times have one"),
        (emptied("image", "0-0"), {"drop": {}}, "name the same file, images/0-0.jpg; expected a row for each image"),
        (rows(people=1), {}, "the images of 1 clients cannot be cut by client with test_share 0.3: one side gets none; set"),
        (rows(), {"drop": NO_SHOES}, "images.csv: column 'kind of clothes' (data.label) holds the class 'T-Shirt' only"),
        (rows(), {"drop": ALL_ROWS}, "images.csv: has no rows but those that data.drop leaves out"),
    ],
)  # fmt: skip
def test_every_fault_is_one_error(
    tiny: Make, tmp_path: Path, table: list[Row], changes: dict[str, Any], message: str
) -> None:
    folder = write(tmp_path, table)
    assert message in refused(tiny, tmp_path, settings(folder, **changes))


def test_two_fifths_of_the_files_are_missing(tiny: Make, tmp_path: Path) -> None:
    folder = write(tmp_path, rows())
    for person in range(8):
        for number in (0, 1):
            (folder / "images" / f"{person}-{number}.jpg").unlink()
    text = refused(tiny, tmp_path, settings(folder))
    assert text.startswith(
        "DATA: 16 of 40 files cannot be read (16 missing, 0 broken), more than the allowed share of 0.01 (data.unreadable_share); "
        "for example images/"
    )
    data = opened(tiny, settings(folder, unreadable_share=0.5))
    assert (len(data.missing), len(data.train.labels) + len(data.test.labels)) == (16, 24)


def test_a_class_without_images_for_the_cloud(tiny: Make, tmp_path: Path) -> None:
    """Everybody wears something else, and two of eight people are not the cloud's."""
    folder = write(tmp_path, [{**row, "kind of clothes": f"hat {row['sender']}"} for row in rows()])
    text = refused(tiny, tmp_path, settings(folder))
    assert text.startswith("images.csv: no image of kind of clothes 'hat ")
    assert (
        "falls to the cloud's side (2 of 8 classes have none); cut by image (data.split: image), or leave them out"
        in text
    )


def test_rows_of_different_length(tiny: Make, tmp_path: Path) -> None:
    folder = write(tmp_path, rows())
    with (folder / "images.csv").open("a") as file:
        file.write("a,b\n")
    assert refused(tiny, tmp_path, settings(folder)) == "images.csv: line 50 has 2 columns; expected 4"


def test_a_table_that_is_no_table(tiny: Make, tmp_path: Path) -> None:
    folder = write(tmp_path, rows())
    (folder / "images.csv").write_bytes(os.urandom(99) + b"\0")
    assert "cannot be read as a table of images: it holds bytes that no text has" in refused(
        tiny, tmp_path, settings(folder)
    )
    (folder / "images.parquet").write_bytes(b"PAR1 no more")
    text = refused(tiny, tmp_path, settings(folder, table="images.parquet"))
    assert "images.parquet: cannot be read as a table of images: " in text
    (folder / "images.csv").write_text("")
    assert "has no column 'kind of clothes' (data.label) (it is empty)" in refused(tiny, tmp_path, settings(folder))


@pytest.mark.parametrize("name", ["images.csv", "images.parquet"])
def test_damaged_tables_give_rows_or_the_one_error(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(2)
    content = (write(tmp_path, rows(people=3), name) / name).read_bytes()
    for _ in range(300):
        (tmp_path / name).write_bytes(mutated(content, rng))
        with contextlib.suppress(DataError):
            table = read_table(
                tmp_path / name, {"whose": "sender", "what": "kind of clothes", "when": "taken"}, "a table"
            )
            assert {len(cells) for cells in table.columns.values()} == {len(table)}


def test_more_rows_than_any_file_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parquet says in a few bytes that a row is there a billion times."""
    write(tmp_path, rows(people=3), "images.parquet")
    monkeypatch.setattr(table_module, "MOST_ROWS", 17)
    with pytest.raises(DataError, match="it states 18 rows; expected at most 17"):
        read_table(tmp_path / "images.parquet", {"whose": "sender"}, "a table")


def test_split_by_client_needs_clients(tiny: Make, tmp_path: Path) -> None:
    for data, name in (
        (settings(tmp_path, client=None, split="client"), "client"),
        ({"kind": "image_folder", "train": str(tmp_path), "split": "client"}, "clients"),
    ):
        with pytest.raises(ScenarioError, match=rf'data\.split +got "client".*set data\.{name}, or image'):
            validate(read(scenario(tiny, data)))
    both = {"kind": "image_folder", "train": str(tmp_path), "test": str(tmp_path), "split": "image"}
    with pytest.raises(ScenarioError, match="says how train is cut, and test lies apart; remove one of them"):
        validate(read(scenario(tiny, both)))


# --- times ---


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["2024-05-31", "2024-06-01 12:00", "2024-06-01T12:00:01.5"], [0, 129600, 129601.5]),
        (["2024:05:31 00:00:00", "2024:05:31 00:00:07"], [0, 7]),
        (["20240531", "20240601"], [0, 86400]),
        (["2024-05-31T02:00+02:00", "2024-05-31T00:00:09Z"], [0, 9]),
        (["1717113600", "1717113601.25"], [0, 1.25]),
        (["1717113600000", "1717113600500"], [0, 0.5]),
    ],
)
def test_times(cells: list[str], expected: list[float]) -> None:
    """Seconds after 31 May 2024, 0:00 UTC."""
    assert (read_times(cells) - 1717113600).tolist() == expected


def test_numbers_that_are_no_dates_keep_their_order() -> None:
    assert read_times(["3", "-1", "2.5e1"]).tolist() == [3, -1, 25]
    assert shown_time(25.0) == "25"
    assert shown_time(1717113600.0) == "2024-05-31 00:00"
    assert [shown_span(seconds) for seconds in (90, 7200, 200_000, 6e8)] == [
        "90.0 seconds",
        "2.0 hours",
        "2.3 days",
        "19.0 years",
    ]


@pytest.mark.parametrize("cell", ["yesterday", "05/06/2024", "0000:00:00 00:00:00", "nan", "inf", "", "2024-02-30"])
def test_what_is_no_time(cell: str) -> None:
    with pytest.raises(BadTimeError) as raised:
        read_times(["2024-05-31", cell])
    assert raised.value.place == 1


# --- from the table to a report ---


def test_clients_meet_their_images_in_time(tiny: Make, tmp_path: Path) -> None:
    """Simulated and previewed from a table: every client's images once, as they were taken."""
    table = [row for row in rows(people=10, images=13) if row["kind of clothes"] != "Not sure"]
    folder = write(tmp_path / "data", rows(people=10, images=13))
    report = sim.run(scenario(tiny, settings(folder)), out=tmp_path / "run", workers=0, quiet=True)
    events = report.events.sort_values(["client", "step"])
    natural = report.clients.drop_duplicates("client").set_index("client").natural_client
    names = ["Shoes", "T-Shirt"]
    for client, seen in events.groupby("client"):
        own = sorted((row for row in table if row["sender"] == natural[client]), key=lambda row: row["taken"])
        assert seen.label.tolist() == [names.index(row["kind of clothes"]) for row in own]
    provenance = json.loads((tmp_path / "run" / "run.json").read_text())["provenance"]
    assert provenance["data_notes"][0] == "left out 10 rows with kind of clothes 'Not sure' (data.drop)"
    assert provenance["passed_over"] == []


def test_data_check_tells_clients_and_times(tiny: Make, tmp_path: Path) -> None:
    folder = write(tmp_path / "data", rows(people=10, images=13))
    file = tmp_path / "table.yaml"
    text = str(scenario(tiny, settings(folder))).replace("True", "true")
    file.write_text(text)
    result = CliRunner().invoke(app, ["data", "check", str(file)])
    assert result.exit_code == 0, result.output
    lines = [line.split("  ", 1) for line in result.stdout.splitlines()]
    found = {name: value.strip() for name, value in lines}
    assert found["images"] == "train 84; test 36"
    assert found["natural clients"] == "train 7; test 3; on both sides 0"
    assert found["images per client"] == "train 12; test 12"
    assert found["classes per client"] == "train 2; test 2"
    assert found["taken"] == "train 2024-06-02 21:02 to 2024-06-11 06:02; test 2024-05-31 18:02 to 2024-06-05 06:02"
    assert found["first to last of one"] == "train median 36.0 hours; test median 36.0 hours"
    assert found["between two of one"] == "train median 3.0 hours; test median 3.0 hours"
    assert "at the same moment" not in found


# --- a list of clients beside a folder ---


def class_folders(folder: Path) -> Path:
    for kind in ("cat", "dog"):
        (folder / kind).mkdir(parents=True)
        for number in range(12):
            Image.new("RGB", (16, 16), (9 * number, 90, 0)).save(folder / kind / f"{number}.png")
    return folder


def clients_list(file: Path, start: str, skip: int = 0, **more: str) -> Path:
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["client", "file", *more])
        writer.writeheader()
        for kind in ("cat", "dog"):
            for number in range(skip if kind == "dog" else 0, 12):
                writer.writerow({"client": f"p{number % 4}", "file": f"{start}{kind}/{number}.png", **more})
    return file


@pytest.mark.parametrize("start", ["", "photos/", "./photos/../photos/"])
def test_a_folder_with_a_list_of_clients(tiny: Make, tmp_path: Path, start: str) -> None:
    folder = class_folders(tmp_path / "photos")
    file = clients_list(tmp_path / "clients.csv", start)
    data = opened(tiny, {"kind": "image_folder", "train": str(folder), "clients": str(file)})
    assert data.train_clients is not None
    assert data.test_clients is not None
    assert not set(data.train_clients) & set(data.test_clients)
    for half, clients in ((data.train, data.train_clients), (data.test, data.test_clients)):
        assert [int(Path(name).stem) % 4 for name in half.names] == clients.tolist()  # type: ignore[attr-defined]
    mixed = opened(tiny, {"kind": "image_folder", "train": str(folder), "clients": str(file), "split": "image"})
    assert np.bincount(mixed.test.labels).tolist() == [4, 4]
    assert mixed.train_times is None


def test_a_list_of_clients_with_times_and_rows_for_nothing(tiny: Make, tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "photos")
    file = clients_list(tmp_path / "clients.csv", "", time="2024-05-31")
    with file.open("a") as stream:
        stream.write("p9,dog/99.png,2024-06-01\n")
    data = opened(tiny, {"kind": "image_folder", "train": str(folder), "test": str(folder), "clients": str(file)})
    assert data.test_times is not None
    assert data.test_times.tolist() == [1717113600.0] * 24
    assert list(data.notes) == ["clients.csv: 1 of 25 rows name no image that was read"]


@pytest.mark.parametrize(
    ("skip", "more", "message"),
    [
        (
            3,
            {},
            "clients.csv: has no row for 3 of the 24 images in photos, the first is dog/0.png; column file takes paths in that",
        ),
        (0, {"time": "soon"}, "clients.csv: line 2, column 'time' (when it was taken): got 'soon'; expected a date"),
        (
            0,
            {"time": ""},
            "clients.csv: column 'time' (when it was taken) is empty in 24 of 24 rows, the first is line 2; fill it",
        ),
    ],
)
def test_faults_of_a_list_of_clients(tiny: Make, tmp_path: Path, skip: int, more: dict[str, str], message: str) -> None:
    folder = class_folders(tmp_path / "photos")
    file = clients_list(tmp_path / "clients.csv", "", skip, **more)
    assert message in refused(tiny, tmp_path, {"kind": "image_folder", "train": str(folder), "clients": str(file)})
