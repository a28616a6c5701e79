"""Every list and CSV file that is read may come out of a spreadsheet: with a byte order mark, semicolons, spaces after commas, in
Latin-1. The data are the same."""

from collections.abc import Callable
from pathlib import Path

import pytest

from iciia.cloud.preprocessing import Preprocessing
from sim.cache import Cache
from sim.data import open_data
from sim.scenario.client_checks import read_matrix
from sim.scenario.file import read
from sim.scenario.validation import validate
from sim.texts import read_rows, read_text

MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"caf\xc3\xa9", "café"),
        (MARK + b"caf\xc3\xa9", "café"),
        (b"caf\xe9", "café"),
        ("café".encode("utf-16"), "café"),
        (b"\xfe\xff" + "café".encode("utf-16-be"), "café"),
        (b"", ""),
    ],
)
def test_text_of_any_program(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "f").write_bytes(content)
    assert read_text(tmp_path / "f") == text


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,x y\n,\n2,\n",
        "a;b\r\n1;x y\r\n\r\n2;\r\n",
        "a, b\n 1 ,  x y\n2,\n",
        'a\tb\n"1"\tx y\n2\t',
        'a|"b"\n1|x y\n2|\n',
    ],
)
def test_rows_of_any_program(tmp_path: Path, content: str) -> None:
    (tmp_path / "f").write_text(content, newline="")
    rows = read_rows(tmp_path / "f")
    assert rows.cells == [["a", "b"], ["1", "x y"], ["2", ""]]
    assert rows.lines[0] == 1


def test_separators_in_quotes_are_none(tmp_path: Path) -> None:
    (tmp_path / "f").write_text('"name; given, maiden, other",year\n"Müller, A.; B.",1990\n')
    assert read_rows(tmp_path / "f").cells[1] == ["Müller, A.; B.", "1990"]


def test_matrix_of_concepts(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(MARK + b"0;1\r\n1; 0\r\n")
    assert read_matrix("m.csv", tmp_path) == [[0, 1], [1, 0]]


def semicolons(content: bytes) -> bytes:
    return MARK + content.replace(b",", b" ; ")


def marked(content: bytes) -> bytes:
    return MARK + content


@pytest.mark.parametrize(
    ("kind", "pattern", "change"),
    [
        ("celeba", "*.txt", marked),
        ("ucf101", "ucfTrainTestlist/*.txt", marked),
        ("inaturalist", "client_data_mapping/*.csv", semicolons),
    ],
)
def test_lists_of_published_data(
    copy: Callable[[str], Path], kind: str, pattern: str, change: Callable[[bytes], bytes]
) -> None:
    folder = copy(kind)

    def key() -> object:
        data = validate(read(f"paper/{kind}").override([f"data.path={folder}"])).data
        return open_data(data, 1, Preprocessing(16), Cache()).key

    before = key()
    changed = list(folder.glob(pattern))
    assert changed
    for file in changed:
        file.write_bytes(change(file.read_bytes()))
    assert key() == before
