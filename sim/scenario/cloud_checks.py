"""What can be wrong with data, backbone and modules, before any data are looked at."""

from iciia.cloud.train import BLOCK
from sim.scenario.data import HuggingfaceData, ImageFolderData, ImageTableData
from sim.scenario.file import Key
from sim.scenario.modules import NOT_READ, RIVALS, ModuleSettings
from sim.scenario.sections import Found, Sections

FEATURE_KINDS = ("features", "synthetic")
"""Data that need no backbone; all others are images."""


def check_data(sections: Sections) -> Found:
    """What is wrong with `data`, files apart."""
    data = sections.get("data")
    if isinstance(data, HuggingfaceData) and (data.dataset is None) == (data.path is None):
        got = "neither" if data.path is None else "both"
        yield (
            ("data",),
            f"got {got} of dataset (a name in the local cache) and path (a folder of save_to_disk); give one",
        )
    if isinstance(data, ImageFolderData) and data.split is not None and data.test is not None:
        yield ("data", "split"), "says how train is cut, and test lies apart; remove one of them"
    if isinstance(data, ImageFolderData | ImageTableData) and data.split == "client":
        name = "clients" if isinstance(data, ImageFolderData) else "client"
        if getattr(data, name) is None:
            yield ("data", "split"), f'got "client", and nothing says whose an image is; set data.{name}, or image'


def check_backbone(sections: Sections) -> Found:
    """Whether images have a backbone, and features none."""
    if {"data", "backbone"} & sections.unsound:
        return
    kind, backbone = sections.get("data").kind, sections.get("backbone")
    if kind not in FEATURE_KINDS and backbone is None:
        yield (
            ("backbone",),
            f"is missing; {kind} data are images, for example: {{model: resnet10t, weights: train}}",
        )
    if kind in FEATURE_KINDS and backbone is not None:
        yield ("backbone",), f"{kind} data are ready features and take no backbone; remove it"
    if backbone is not None and backbone.subset and backbone.head != "subset":
        yield (
            ("backbone", "subset"),
            f"says which rows classes are, and head is {backbone.head}; set head: subset, or remove it",
        )
    if backbone is not None and backbone.weights == "train" and backbone.head != "own":
        yield (
            ("backbone", "head"),
            f"got {backbone.head}, and weights: train makes a head for the data's classes; remove it, or start from "
            "weights: pretrained or a checkpoint",
        )
    if backbone is not None and backbone.weights in ("train", "pretrained") and backbone.weights_match != "name":
        yield (
            ("backbone", "weights_match"),
            f"got {backbone.weights_match}, and weights: {backbone.weights} reads no checkpoint; remove it, or name a file "
            "in weights",
        )


def check_live(sections: Sections) -> Found:
    """Whether a corruption has a running backbone that sees it."""
    clients, backbone = sections.get("clients"), sections.get("backbone")
    if clients is None or clients.corruption is None or "backbone" in sections.unsound:
        return
    if backbone is None or backbone.execution != "live":
        yield (
            ("clients", "corruption"),
            "corrupts images, which only a running backbone sees; set backbone.execution: live",
        )


def check_modules(sections: Sections) -> Found:
    """What does not go together in a module."""
    for name, module in (sections.get("modules") or {}).items():
        key: Key = ("modules", name)
        if not isinstance(module, ModuleSettings):
            continue
        for setting in NOT_READ[module.context]:
            if getattr(module, setting) != ModuleSettings.model_fields[setting].get_default():
                yield (*key, setting), f"says nothing about a module of context {module.context}; remove it"
        if module.context in RIVALS and module.recipe == "paper":
            yield (*key, "recipe"), f"trains on sets, and {module.context} takes sequences; set recipe: stream"
        if module.context == "icrm" and module.width % module.heads:
            yield (*key, "heads"), f"got {module.heads}, which does not divide the width {module.width}"
        if module.context == "set" and module.recipe == "stream":
            yield (*key, "recipe"), "the set context is trained on sets; set recipe: paper, or context: stream"
        if module.shortlist is not None and module.head == "replaced":
            yield (*key, "shortlist"), "a shortlist takes the residual head; remove it, or set head: residual"
        if module.evaluate_every % BLOCK:
            yield (*key, "evaluate_every"), f"got {module.evaluate_every}; expected a multiple of {BLOCK}"
