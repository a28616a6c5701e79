"""A stage of something long, as those who show progress see it."""

import contextlib
from collections.abc import Callable, Iterator

from iciia.cloud.backbone import Progress

StageProgress = Callable[[str], contextlib.AbstractContextManager[Progress]]
"""Opens a stage with a title; what it gives is told how much is done."""


@contextlib.contextmanager
def silent(title: str) -> Iterator[Progress]:
    """A stage that nobody is told of."""
    yield lambda done, total: None
