"""Settings of `data`: what clients see."""

from typing import Annotated, Literal

from pydantic import Field

from sim.scenario.base import Cell, PositiveFloat, PositiveInt, ProperShare, Settings, Share


class DigitsData(Settings):
    """scikit-learn's 1,797 handwritten digits."""

    kind: Literal["digits"]


class GlyphsData(Settings):
    """Characters of many scripts in 12 faces, with jitter, blur and noise."""

    kind: Literal["glyphs"]
    train_images: PositiveInt = 150
    """Images of each class for the cloud."""
    test_images: PositiveInt = 40
    """Images of each class for the clients."""


class ImageFolderData(Settings):
    """Any folder of class folders."""

    kind: Literal["image_folder"]
    train: str
    """Folder with a folder of images for each class."""
    test: str | None = None
    """Such a folder for the clients; without it, `test_share` of `train`."""
    test_share: ProperShare = 0.3
    """Share cut from `train` for the clients if there is no `test`."""
    clients: str | None = None
    """CSV or Parquet file with the columns file, client and, if wanted, time: the images then have natural clients."""
    split: Literal["client", "image"] | None = None
    """How `train` is cut if there is no `test`. client: nobody is on both sides, the default with `clients`. image: the images of
    every class are cut, the default without."""
    superclasses: str | None = None
    """CSV file with the columns class (a name) or class_index, and superclass."""
    unreadable_share: Share = 0.01
    """Unreadable images are skipped up to this share of all, and refused beyond."""


class ColumnSplit(Settings):
    """Train and test as a column says."""

    column: str
    """Column that says it."""
    train: Annotated[list[Cell], Field(min_length=1)] = ["train"]
    """Its cells that are for the cloud."""
    test: Annotated[list[Cell], Field(min_length=1)] = ["test"]
    """Its cells that are for the clients."""


class ImageTableData(Settings):
    """A table of images, a row each: CSV or Parquet, any column names."""

    kind: Literal["image_table"]
    table: str
    """The table, from `path`."""
    path: str = "."
    """Folder that `table` and `file` start in."""
    file: str
    """Where a row's image is, from `path`: a column, or a pattern with columns in braces such as images/{image}.jpg."""
    label: str
    """Column of the classes."""
    client: str | None = None
    """Column that says whose an image is; the images then have natural clients."""
    time: str | None = None
    """Column that says when an image was taken: ISO 8601, EXIF's way, or a number."""
    split: Literal["client", "image"] | ColumnSplit | None = None
    """client: nobody is on both sides, the default with `client`. image: the images of every class are cut, the default without.
    Or as a column says: {column: part, train: [train, val], test: [test]}."""
    test_share: ProperShare = 0.3
    """Share that is cut for the clients, unless a column says it."""
    drop: dict[str, list[Cell]] = {}
    """Rows that are left out, by column and cell: {label: [Not sure, Other]}."""
    superclasses: str | None = None
    """CSV file with the columns class (a name) or class_index, and superclass."""
    unreadable_share: Share = 0.01
    """Missing and broken files are left out up to this share of all, and refused beyond."""


class FileData(Settings):
    """Base of data sets in files of their own layout."""

    path: str
    """The data set's folder; docs/data.md says what is in it."""
    unreadable_share: Share = 0.01
    """Missing and broken files are left out up to this share of all, and refused beyond."""


class ImagenetData(FileData):
    """ImageNet-1K, with the paper's 85 superclasses."""

    kind: Literal["imagenet"]


class FemnistData(Settings):
    """FEMNIST in LEAF's JSON files; its writers are natural clients."""

    kind: Literal["femnist"]
    path: str
    """LEAF's folder data/femnist/data."""
    split: Literal["leaf", "sample", "user"] = "leaf"
    """leaf: LEAF's own train and test. sample: cut the images of every writer in all_data. user: cut the writers."""
    test_share: ProperShare = 0.1
    """Share that is cut for the clients, unless the split is LEAF's."""


class CelebaData(FileData):
    """CelebA; its people are natural clients."""

    kind: Literal["celeba"]
    attribute: str | None = None
    """One attribute as a task of two classes, such as Smiling; all 40 at once if left out."""
    split: Literal["official", "leaf"] = "official"
    """official: the published partition, whose clients are people that the cloud has not seen. leaf: LEAF's train and test."""


class Ucf101Data(FileData):
    """UCF101: clips of 16 frames, with five superclasses. Needs PyAV: iciia-sim[video]."""

    kind: Literal["ucf101"]
    fold: Annotated[int, Field(ge=1, le=3)] = 1
    """Which of the three published pairs of lists."""


class InaturalistData(FileData):
    """iNaturalist 2019 with FedScale's mapping; its observers are natural clients."""

    kind: Literal["inaturalist"]


class TorchvisionData(Settings):
    """A data set of torchvision that is on this machine."""

    kind: Literal["torchvision"]
    dataset: str
    """Name of a class in torchvision.datasets, such as CIFAR10."""
    path: str
    """What torchvision calls root."""
    train: str = "train"
    """Split for the cloud, where the class has an argument `split`."""
    test: str = "test"
    """Split for the clients, likewise."""
    superclasses: str | None = None
    """CSV file with the columns class (a name) or class_index, and superclass."""


class HuggingfaceData(Settings):
    """A data set of Hugging Face datasets that is on this machine. Needs iciia-sim[huggingface]."""

    kind: Literal["huggingface"]
    dataset: str | None = None
    """Name on the Hub, such as uoft-cs/cifar10, of one that is in the local cache."""
    path: str | None = None
    """In place of `dataset`: a folder that save_to_disk left."""
    config: str | None = None
    """Which configuration of `dataset`, if the cache has several."""
    image: str = "image"
    """Column of the images."""
    label: str = "label"
    """Column of their classes."""
    client: str | None = None
    """Column of their natural clients."""
    train: str = "train"
    """Split for the cloud."""
    test: str = "test"
    """Split for the clients."""
    superclasses: str | None = None
    """CSV file with the columns class (a name) or class_index, and superclass."""


class FeaturesData(Settings):
    """The user's own features, as .npz files with `features` [M, D], `logits` [M, C], `labels` [M], or attributes of 0 and
    1, [M, C]. With `clients` [M] they have natural clients."""

    kind: Literal["features"]
    train: str
    """For the cloud; the backbone must not have been trained on it."""
    test: str
    """For the clients."""
    superclasses: str | None = None
    """CSV file with the columns class (a name) or class_index, and superclass."""


class SyntheticData(Settings):
    """Features around class prototypes, made by seed and never stored."""

    kind: Literal["synthetic"]
    classes: Annotated[int, Field(ge=2)] = 200
    """Number of classes."""
    superclasses: PositiveInt = 20
    """Number of superclasses."""
    features: PositiveInt = 512
    """Feature dimension."""
    images_per_class: PositiveInt = 1000
    """Images of each class, for the cloud and for the clients each."""
    noise: PositiveFloat = 1.0
    """Standard deviation of an image around its prototype, in units of the prototypes' own."""


Data = Annotated[
    DigitsData
    | GlyphsData
    | ImageFolderData
    | ImageTableData
    | ImagenetData
    | FemnistData
    | CelebaData
    | Ucf101Data
    | InaturalistData
    | TorchvisionData
    | HuggingfaceData
    | FeaturesData
    | SyntheticData,
    Field(discriminator="kind"),
]
