"""A page of one client of a finished run: simulated again, with its images and what adapters remembered."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iciia.adapters.memory import weights_of
from sim.addresses import Address, Location, locate
from sim.cache import Cache
from sim.cloud.corruption import Corruption
from sim.cloud.threads import torch_threads
from sim.cohort.memories import Remembered, memories
from sim.data import Images
from sim.engine.parts import cloud_spec
from sim.engine.replay import Again, again
from sim.errors import ReportError
from sim.page import write_report
from sim.page.client_page import Look, Subject, write_client
from sim.page.distribution import client_file
from sim.report.load import Report, load


def look(
    run: str | Path | Address | Report, client: int, steps: str | None = None, out: str | Path | Address | None = None
) -> Location:
    """Makes a page of one client of a finished run: its images, every answer, what each adapter remembered.

    Args:
        run: The run's folder or its address, or its report.
        client: The client's number.
        steps: `FIRST:STOP`, for example `180:240`; None for the whole stream. Of either as many as keep the file under 5 MB.
        out: The page's file. None puts it beside the run's page, as `client-NUMBER.html`, and writes that one again, with a link.

    Returns:
        The page's file.

    Raises:
        ReportError: The run is not finished or of another platform, has no such client or steps, or its data have changed.
        DataError: Its data are not there.
    """
    report = run if isinstance(run, Report) else load(run)
    if report.run.get("sweep"):
        raise ReportError(
            f"{report.folder}: is a sweep; look at a client of one of its runs, for example {report.folder / 'cells' / '0001'}"
        )
    found = again(report.folder, client)
    length = int(found.result.lengths[0])
    wanted = steps_of(steps, client, length)
    weights = {name: weights_of(adapter) for name, adapter in found.simulator.adapters.items()}
    subject = Subject(report, found.result, found.artifact.classes, weights, _images(found))
    path = report.folder / client_file(client) if out is None else locate(out)
    with torch_threads(1):
        write_client(subject, wanted, _remembered(found, client, wanted), path)
    if out is None:
        write_report(report, Cache())
    return path


def steps_of(text: str | None, client: int, length: int) -> range:
    """The steps that `FIRST:STOP` means; either may be left out.

    Raises:
        ReportError: It means none of the stream's.
    """
    found = re.fullmatch(r"(\d*):(\d*)", ":" if text is None else text.strip())
    first, stop = (int(found[1] or 0), int(found[2] or length)) if found else (0, 0)
    if not first < stop <= length:
        raise ReportError(
            f"got steps {text!r}; expected FIRST:STOP within 0:{length}, the stream of client {client}, for example "
            f"{max(0, length - 60)}:{length}"
        )
    return range(first, stop)


def _remembered(found: Again, client: int, steps: range) -> Iterator[Remembered]:
    """What adapters remember; nothing by the paper's protocols, which have no past."""
    return memories(found.simulator, client, steps) if found.scenario.protocol == "stream" else iter(())


def _images(found: Again) -> Look | None:
    """Shows a client's images as its backbone reads them; None if the data have none."""
    spec = cloud_spec(found.scenario)
    data = spec.open(Cache())
    if not isinstance(data, Images):
        return None
    source = data.test
    live = found.scenario.backbone is not None and found.scenario.backbone.execution == "live"
    camera: Corruption | None = spec.camera if live else None
    images, client = found.result.images[0], found.result.clients[:1]

    def look_at(steps: Sequence[int]) -> NDArray[np.uint8]:
        pixels = source.read(images[list(steps)])
        if camera is not None:
            pixels = camera.apply(pixels, np.repeat(client, len(steps)), np.asarray(steps))
        shown: NDArray[np.uint8] = pixels.numpy()
        return shown

    return look_at
