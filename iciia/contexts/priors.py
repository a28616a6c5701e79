"""The priors context, the default: a refitted head, and a mixture of class priors from the client's past predictions.

Where the attention contexts learn from features which classes go together, this one is told what the cloud knows, and keeps
predictions in its bank in place of keys and values; see `iciia.contexts.mixture`. What it learns is the head, which corrects the
classes that the backbone ranks highest, and the few numbers of the mixture.
"""

from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from numpy.typing import NDArray
from torch import Tensor, nn

from iciia.banks.predictions import MOST_CLASSES, PredictionBank
from iciia.contexts.mixture import PriorMixture
from iciia.contexts.recent import Banked
from iciia.contexts.session import Session
from iciia.heads.residual import correct
from iciia.policies import Evidence, Policy
from iciia.policies.plan import Plan

TOGETHER = 2**22
"""Numbers of one kind that are worked out together for a chunk; more would not stay in the cache."""


class ClientPriors(nn.Module, PyTorchModelHubMixin, library_name="iciia"):
    """A refitted head and a mixture of class priors.

    `save_pretrained(folder)` and `from_pretrained(folder or hub name)` as `ICIIA`'s. Untrained, the head corrects nothing and the
    mixture starts at numbers that do well on most streams.

    An image whose bank is empty keeps the backbone's logits, and a bank of capacity 0 always does.

    Args:
        features: D, the backbone's feature dimension.
        classes: C.
        superclasses: S, how many groups of classes the cloud knows; 0 if classes are not grouped.
        shortlist: The head corrects only this many classes, those that the backbone ranks highest; at most all.
        keep: Probabilities that a bank keeps of an image, the highest; at most C.
        attributes: Whether an image has attributes in place of one class. There is no class prior then, and only the head is used.

    Raises:
        ValueError: There are more classes than a bank can number.

    Example:
        >>> module = ClientPriors(features=8, classes=3).eval()
        >>> bank = module.empty_bank(clients=1, capacity=4)
        >>> logits, bank = module(torch.zeros(1, 5, 8), torch.ones(1, 5, 3), bank)
        >>> logits.shape, bank.seen
        (torch.Size([1, 5, 3]), 5)
    """

    context: Literal["priors"] = "priors"
    head: Literal["residual"] = "residual"

    scale: Tensor

    def __init__(
        self,
        features: int,
        classes: int,
        superclasses: int = 0,
        shortlist: int = 128,
        keep: int = 32,
        attributes: bool = False,
    ) -> None:
        super().__init__()
        if classes > MOST_CLASSES:
            raise ValueError(f"got {classes} classes; a bank of predictions can number {MOST_CLASSES}")
        self.shortlist = None if attributes else min(shortlist, classes)
        self.keep = min(keep, classes)
        self.settings: dict[str, Any] = {
            "features": features,
            "classes": classes,
            "superclasses": superclasses,
            "shortlist": self.shortlist,
            "keep": self.keep,
            "attributes": attributes,
        }
        self.register_buffer("scale", torch.ones(()))  # what logits are multiplied by so that they are calibrated
        self.refit = nn.Linear(features, classes)
        nn.init.zeros_(self.refit.weight)
        nn.init.zeros_(self.refit.bias)
        self.mixture = PriorMixture(classes, superclasses)

    @property
    def knows(self) -> Literal["nothing", "superclasses"]:
        """What it is told beside images."""
        return "superclasses" if self.settings["superclasses"] else "nothing"

    def session(
        self, capacity: int, storage: torch.dtype = torch.float32, policy: Policy | None = None, seed: int = 0
    ) -> Session[PredictionBank]:
        """One client on a device: image by image, the bank of `capacity` images inside."""
        return Session(self, capacity, storage, policy, seed)

    def empty_bank(
        self,
        clients: int | NDArray[np.int64],
        capacity: int,
        storage: torch.dtype = torch.float32,
        policy: Policy | None = None,
        seed: int = 0,
    ) -> PredictionBank:
        """Banks for K clients that have seen nothing; see `PredictionBank.empty`."""
        sizes = self.settings["features"], self.settings["classes"]
        start = self.mixture.belief().detach(), self.mixture.trust().detach()
        return PredictionBank.empty(clients, capacity, self.keep, sizes, *start, storage, policy, seed)

    def forward(
        self, features: Tensor, backbone_logits: Tensor, bank: PredictionBank, evidence: Evidence | None = None
    ) -> tuple[Tensor, PredictionBank]:
        """Predicts a chunk of every client's stream.

        The result equals feeding the chunk one image at a time.

        Args:
            features: The backbone's features, [K, T, D].
            backbone_logits: The backbone's own logits, [K, T, C].
            bank: The clients' banks before the chunk. They are written in place; go on with those that are returned.
            evidence: What bank policies see of the chunk, if it is at hand: several modules can share it.

        Returns:
            Logits [K, T, C], float32, and the banks after the chunk.
        """
        age = torch.atleast_2d(bank.seen - bank.keeper.steps())  # the plan takes the keeper's slots over
        plan, after = bank.plan(evidence or Evidence(features, backbone_logits))
        if bank.capacity == 0:
            return backbone_logits, after
        numbers = features.shape[1] * self.settings["classes"] * len(self.mixture.log_scale)
        together = max(1, TOGETHER // numbers)
        logits = [
            self._predict(features[some], backbone_logits[some], bank, age, plan, some)
            for some in (slice(first, first + together) for first in range(0, len(features), together))
        ]
        return torch.cat(logits), after

    def correct(self, unit: Tensor, calibrated: Tensor) -> Tensor:
        """What one image says by itself: calibrated logits with the head's correction, [K, T, C].

        Args:
            unit: Features of unit length times sqrt(D), [K, T, D].
            calibrated: The backbone's logits, calibrated, [K, T, C].
        """
        nobody = torch.zeros(1, 1, dtype=torch.bool, device=unit.device)
        return correct(self.refit, unit.flatten(0, 1).to(self.refit.weight.dtype), calibrated, nobody, self.shortlist)

    def _predict(
        self, features: Tensor, backbone_logits: Tensor, bank: PredictionBank, age: Tensor, plan: Plan, some: slice
    ) -> Tensor:
        """Some clients' logits, [k, T, C]; what stays of their images is written into their banks."""
        unit = F.normalize(features.float(), dim=-1) * features.shape[-1] ** 0.5
        logits = self.correct(unit, backbone_logits.float() * self.scale)
        if not self.settings["attributes"]:
            logits = self._with_priors(logits, bank, age, plan, some)
        alone = plan.alone()
        lonely = alone if len(alone) == 1 else alone[some]
        return torch.where(lonely.unsqueeze(-1), backbone_logits, logits)

    def _with_priors(self, logits: Tensor, bank: PredictionBank, age: Tensor, plan: Plan, some: slice) -> Tensor:
        held = bank.past(some, logits.shape[-1])
        of_some = age if len(age) == 1 else age[some]
        past = Banked(plan, some, held, of_some, self.keep, bank.storage, self.mixture.scales)
        logits, belief, trust = self.mixture(logits, past, bank.belief[some], bank.trust[some])
        bank.belief[some], bank.trust[some] = belief, trust
        bank.write(some, torch.stack(past.shares, 1), torch.stack(past.numbers, 1), plan)
        return logits
