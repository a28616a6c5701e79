"""ICIIA on a device: one client, one image at a time, the bank inside."""

from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

from iciia.banks.bank import FeatureBank
from iciia.policies import Policy
from iciia.policies.plan import FifoKeeper

Bank = TypeVar("Bank")
"""What a module keeps of its clients."""


class StreamModule(Protocol[Bank]):
    """What a session needs of a module. The module makes sessions of itself, so that it is not imported here."""

    settings: dict[str, Any]

    def eval(self) -> "StreamModule[Bank]":
        """Sets it to evaluation."""
        ...

    def empty_bank(
        self,
        clients: int,
        capacity: int,
        storage: torch.dtype = torch.float32,
        policy: Policy | None = None,
        seed: int = 0,
    ) -> Bank:
        """Banks for K clients that have seen nothing."""
        ...

    def __call__(self, features: Tensor, backbone_logits: Tensor, bank: Bank) -> tuple[Tensor, Bank]:
        """Predicts a chunk of every client's stream."""
        ...


class Session(Generic[Bank]):
    """What an application would ship.

    Args:
        module: The trained module.
        capacity: N, the most images the bank may hold.
        storage: How the bank keeps its numbers.
        policy: Which images a full bank keeps; None for the latest.
        seed: Seed of a random policy's draws; the session is client 0.

    Attributes:
        bank: The client's bank; replace it by an empty one to forget.
    """

    def __init__(
        self,
        module: StreamModule[Bank],
        capacity: int,
        storage: torch.dtype = torch.float32,
        policy: Policy | None = None,
        seed: int = 0,
    ) -> None:
        self.module = module.eval()
        self.bank = module.empty_bank(1, capacity, storage, policy, seed)

    @torch.inference_mode()
    def __call__(self, feature: Tensor, backbone_logits: Tensor) -> Tensor:
        """Predicts one image and remembers it.

        Args:
            feature: The backbone's feature vector, [D].
            backbone_logits: The backbone's logits, [C].

        Returns:
            Logits, [C].
        """
        logits, self.bank = self.module(feature[None, None], backbone_logits[None, None], self.bank)
        return logits[0, 0]


class OneImage(nn.Module):
    """One step of a session with the bank as input and output, for export.

    Args:
        module: The trained module.
    """

    def __init__(self, module: StreamModule[FeatureBank]) -> None:
        super().__init__()
        self.module = module.eval()

    def forward(
        self, feature: Tensor, backbone_logits: Tensor, entries: Tensor, seen: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Predicts one image.

        Args:
            feature: [D].
            backbone_logits: [C].
            entries: The bank, [G, 1, D, N], image t in slot t mod N; zeros at the start.
            seen: Images seen so far, int64 scalar; 0 at the start.

        Returns:
            Logits [C], the bank and the images seen after this one.
        """
        keeper = FifoKeeper(entries.shape[3], seen)  # type: ignore[arg-type]  # a tensor counts as well as an int
        bank = FeatureBank(entries.clone(), keeper)  # banks are written in place, and an input should stay as it is
        logits, bank = self.module(feature[None, None], backbone_logits[None, None], bank)
        return logits[0, 0], bank.entries, seen + 1


def export(module: StreamModule[FeatureBank], folder: Path, capacity: int) -> Path:
    """Writes the one-image step with `torch.export`, float32.

    Args:
        module: The trained module.
        folder: Where to.
        capacity: N, fixed in the exported program.

    Returns:
        The file, `iciia.pt2`; `torch.export.load` reads it.
    """
    s = module.settings
    example = (
        torch.zeros(s["features"]),
        torch.zeros(s["classes"]),
        module.empty_bank(1, capacity).entries,
        torch.zeros((), dtype=torch.int64),
    )
    with torch.no_grad():
        program = torch.export.export(OneImage(module), example)
    folder.mkdir(parents=True, exist_ok=True)
    torch.export.save(program, folder / "iciia.pt2")
    return folder / "iciia.pt2"
