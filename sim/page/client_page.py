"""The page of one client: its images in order, every answer, and what each adapter remembered."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iciia.adapters.memory import Memory, Weights
from sim.addresses import Location
from sim.cohort.memories import Remembered
from sim.cohort.result import CohortResult
from sim.data import Classes
from sim.outputs import replacing
from sim.page.headline import best_adapter
from sim.page.render import client_html
from sim.page.theme import Style, styles
from sim.page.thumbnails import thumbnail
from sim.report.load import Report

MOST_BYTES = 4_700_000
"""Of what a page shows; with style and script it stays below 5 MB."""

NAMES = 6
"""Attributes of an image that are named; the others are counted."""

Look = Callable[[Sequence[int]], NDArray[np.uint8]]
"""Steps -> the images there, uint8 [B, channels, height, width], or clips."""

REMEMBERS: dict[Weights | None, str] = {
    "attention": "weights: by which it attends to each, a mean over heads and layers; the rest is on the image itself",
    "prior": "weights: share of what it expects that comes from each; the rest is what holds for all clients or a group of classes",
    None: "",
}


@dataclass(frozen=True)
class Subject:
    """Whom a page is about.

    Args:
        report: The run.
        result: What happened to the client, simulated again.
        classes: The classes.
        weights: What kind of weights each adapter can tell, by name.
        look: Shows images; None if the data have none.
    """

    report: Report
    result: CohortResult
    classes: Classes
    weights: dict[str, Weights | None]
    look: Look | None

    @property
    def client(self) -> int:
        """Its number."""
        return int(self.result.clients[0])

    @property
    def length(self) -> int:
        """Images in its stream."""
        return int(self.result.lengths[0])


def write_client(subject: Subject, steps: range, remembered: Iterable[Remembered], path: Location) -> range:
    """Writes the page of a client so that it is there completely or not at all.

    Args:
        subject: Whom it is about.
        steps: The steps that are wanted.
        remembered: What adapters remember at each of them, in order; may be shorter, or empty.
        path: The file.

    Returns:
        The steps that it shows: as many as keep the file under 5 MB.

    Raises:
        ReportError: It cannot be written.
    """
    told = _Told(subject)
    memories = iter(remembered)
    shown = steps
    for step in steps:
        memory = next(memories, None)
        told.add(step, {} if memory is None else memory.memories)
        if told.bytes > MOST_BYTES and step + 1 < steps.stop:
            shown = range(steps.start, step + 1)
            break
    looks = styles(subject.report.answers)
    text = client_html(_title(subject), _lead(subject), _limit(subject, steps, shown), told.content(looks, shown))
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return shown


@dataclass
class _Told:
    """What a page holds, step by step, and how large that is."""

    subject: Subject
    bytes: int = 0
    frames: list[Any] = field(default_factory=list)
    words: dict[str, int] = field(default_factory=dict)
    pictures: dict[str, int] = field(default_factory=dict)
    images: dict[int, list[int]] = field(default_factory=dict)

    def add(self, step: int, memories: dict[str, Memory]) -> None:
        """Takes a step."""
        result = self.subject.result
        answers = [self._answer(number, step) for number in range(len(result.predictions))]
        names = list(self.subject.weights)
        held = {names.index(name): self._memory(memory) for name, memory in memories.items()}
        frame = [*self._image(step), answers, held]
        self.frames.append(frame)
        self.bytes += len(json.dumps(frame, separators=(",", ":")))

    def _answer(self, adapter: int, step: int) -> list[int]:
        """What an adapter said, how sure it was in thousandths, -1 if it did not tell, and whether that is right."""
        result, right = self.subject.result, self.subject.result.right[adapter, 0, step]
        if result.labels.ndim == 3:
            return [self._word(f"{int(right.sum())} of {right.size} attributes right"), -1, int(right.all())]
        confidence = float(result.confidences[adapter, 0, step])
        said = self.subject.classes.names[int(result.predictions[adapter, 0, step])]
        return [self._word(str(said)), -1 if np.isnan(confidence) else round(1000 * confidence), int(right)]

    def _memory(self, memory: Memory) -> list[Any]:
        """Steps as runs, and weights in ten-thousandths."""
        for step in memory.steps.tolist():
            self._image(step)
        weights = 0 if memory.weights is None else np.rint(10_000 * memory.weights).astype(int).tolist()
        return [runs(memory.steps.tolist()), weights]

    def _image(self, step: int) -> list[int]:
        """Number of its picture, -1 without one, and of the word for its class."""
        if step not in self.images:
            self.images[step] = [self._picture(step), self._word(self._truth(step))]
        return self.images[step]

    def _truth(self, step: int) -> str:
        label = self.subject.result.labels[0, step]
        names = self.subject.classes.names
        if label.ndim == 0:
            return str(names[int(label)])
        there = [str(names[number]) for number in np.flatnonzero(label).tolist()]
        more = f" and {len(there) - NAMES} more" if len(there) > NAMES else ""
        return (", ".join(there[:NAMES]) or "none") + more

    def _picture(self, step: int) -> int:
        if self.subject.look is None:
            return -1
        uri = thumbnail(self.subject.look([step])[0])
        if uri not in self.pictures:
            self.bytes += len(uri)
        return self.pictures.setdefault(uri, len(self.pictures))

    def _word(self, text: str) -> int:
        return self.words.setdefault(text, len(self.words))

    def content(self, looks: Sequence[Style], shown: range) -> dict[str, Any]:
        """All of it, for the page's script."""
        subject = self.subject
        names = list(subject.weights)
        by_name = {look.adapter: look for look in looks}
        ordered = [by_name[name] for name in names]
        held = {number for frame in self.frames for number, (steps, _) in frame[3].items() if steps}
        return {
            "client": subject.client,
            "best": names.index(best_adapter(subject.report)),
            "first": shown.start,
            "length": subject.length,
            "words": list(self.words),
            "pictures": list(self.pictures),
            "adapters": [
                {
                    "name": look.adapter,
                    "light": look.colour,
                    "dark": look.dark,
                    "shown": look.shown,
                    "weights": REMEMBERS[subject.weights[look.adapter]],
                    "remembers": number in held,
                }
                for number, look in enumerate(ordered)
            ],
            "frames": self.frames,
            "past": {step: image for step, image in self.images.items() if step not in shown},
            "drifts": drifts(subject.result, subject.classes),
        }


def drifts(result: CohortResult, classes: Classes) -> list[list[Any]]:
    """The drifts of a client: at which step, and what changes."""
    found: list[list[Any]] = []
    plan = result.plan
    for segment in np.flatnonzero(plan.severity[0] > 0).tolist():
        step = int(plan.starts[0, segment])
        if step >= int(result.lengths[0]):
            continue
        before, after = (int(plan.superclass[0, number]) for number in (segment - 1, segment))
        said = f"{100 * plan.severity[0, segment]:.0f} % of its classes go"
        if before >= 0 and after >= 0 and before != after:
            said = f"{classes.superclass_names[before]} → {classes.superclass_names[after]}"
        found.append([step, said])
    return found


def runs(steps: Sequence[int]) -> str:
    """Ascending numbers as runs: 3, 7, 8 and 9 are `3,7-9`."""
    found: list[list[int]] = []
    for step in steps:
        if found and step == found[-1][1] + 1:
            found[-1][1] = step
        else:
            found.append([step, step])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def _title(subject: Subject) -> str:
    return f"Client {subject.client} of {subject.report.run['name']}"


def _lead(subject: Subject) -> str:
    result = subject.result
    owner = "" if result.owners is None else f", natural client {int(result.owners[0])} of the data"
    count = len(drifts(result, subject.classes))
    times = "never" if not count else "once" if count == 1 else f"{count} times"
    said = f"{subject.length:,} images{owner}; what it meets changes {times}. "
    said += "Simulated again, alone, and the same to the bit as in the run."
    if subject.look is None:
        said += " These data are features without images: there is nothing to be seen, and everything else is here."
    return said


def _limit(subject: Subject, wanted: range, shown: range) -> str:
    """Which steps the page shows, and how to see others; nothing if it shows all."""
    if shown == range(subject.length):
        return ""
    said = f"This page shows the steps {shown.start} to {shown.stop - 1}"
    if shown != wanted:
        said += ", as many as keep it under 5 MB"
    rest = f"{shown.stop}:{subject.length}" if shown.stop < subject.length else f"0:{shown.start}"
    return f"{said}. For others: iciia look {subject.report.folder} --client {subject.client} --steps {rest} --out FILE"
