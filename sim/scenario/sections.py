"""The sections of a document, each sound by itself or not there: what checks of several fields look at."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import TypeAdapter

from sim.scenario.adapters import adapter_from
from sim.scenario.file import Document, Key
from sim.scenario.scenario import Scenario

Found = Iterator[tuple[Key, str]]


@dataclass(frozen=True)
class Sections:
    """The sections of a document that are sound by themselves."""

    document: Document
    unsound: set[Any]

    def get(self, name: str) -> Any:
        """A section's settings; None if it is unsound."""
        if name in self.unsound:
            return None
        field = Scenario.model_fields[name]
        if name not in self.document.values:
            return field.get_default()
        found = _section_type(name).validate_python(self.document.values[name])
        return [adapter_from(self.document.data_folder, one) for one in found] if name == "adapters" else found


def _section_type(name: str) -> TypeAdapter[Any]:
    field = Scenario.model_fields[name]
    annotation: Any = field.annotation
    if field.discriminator:
        annotation = Annotated[annotation, field]
    return TypeAdapter(annotation)
