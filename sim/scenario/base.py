"""What all parts of a scenario are made of: their base class, and numbers with bounds."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

PositiveInt = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
BankCapacity = Annotated[int, Field(ge=0, le=4096)]
Capacities = BankCapacity | Annotated[list[BankCapacity], Field(min_length=1)]
Cell = str | int | float | bool
Share = Annotated[float, Field(ge=0, le=1)]
ProperShare = Annotated[float, Field(gt=0, lt=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
ImportPath = Annotated[str, Field(pattern=r"^.+[.:][A-Za-z_][A-Za-z0-9_]*$")]
AdapterName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.+-]+$")]


class Settings(BaseModel):
    """Base of all parts of a scenario: no unknown key, no silent conversion, no change afterwards."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


def named_only(value: Any) -> Any:
    """`backbone` is short for `{kind: backbone}`."""
    return {"kind": value} if isinstance(value, str) else value


def class_from(folder: Path, path: str) -> str:
    """The path of a class, its file taken from the given folder."""
    return str(folder / Path(path).expanduser()) if path.rpartition(":")[0].endswith(".py") else path
