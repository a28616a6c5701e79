"""The default module's step: the head, the mixture of class priors, and everything that they remember of a client."""

import torch
import torch.nn.functional as F
from torch import Tensor

from iciia.banks.bank import through_storage
from iciia.banks.predictions import highest, spread
from iciia.banks.storage import decode
from iciia.contexts.priors import ClientPriors
from iciia.export.slots import SEEN, ages, held, put
from iciia.export.step import Named, Step, of_backbone


class PriorsStep(Step):
    """One image of a session of the default module under fifo.

    States: `seen`; `bank`, the highest probabilities of each image, [keep, N] in the storage's dtype; `scales`, float32 [1, N], if
    the storage has scales; `numbers`, their classes, int16 [keep, N]; `trust` in the priors, float32 [E]; `belief` in the
    superclasses, float32 [S], if classes are grouped. Of attributes, which have no class prior, only `seen`.

    Args:
        module: The trained module.
        capacity: N, 1 or more.
        storage: How the bank keeps its numbers.
    """

    def __init__(self, module: ClientPriors, capacity: int, storage: torch.dtype) -> None:
        empty = module.empty_bank(1, capacity, storage)
        states = [
            Named("bank", empty.shares.entries[0, 0], ("rank", "slot")),
            Named("numbers", empty.numbers[0, 0], ("rank", "slot")),
            Named("trust", empty.trust[0], ("prior",)),
        ]
        if empty.shares.scales is not None:
            states.append(Named("scales", empty.shares.scales[:, 0], ("vector", "slot")))
        if module.settings["superclasses"]:
            states.append(Named("belief", empty.belief[0], ("superclass",)))
        kept = () if module.settings["attributes"] else tuple(states)
        super().__init__(of_backbone(module.settings["features"], module.settings["classes"]), (SEEN, *kept))
        self.module, self.capacity, self.storage = module.eval(), capacity, storage

    def advance(self, read: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        module, seen = self.module, read["seen"]
        feature, backbone_logits = read["feature"].view(1, 1, -1), read["backbone_logits"].view(1, 1, -1)
        unit = F.normalize(feature, dim=-1) * feature.shape[-1] ** 0.5
        logits, after = module.correct(unit, backbone_logits * module.scale), {"seen": seen + 1}
        if not module.settings["attributes"]:
            past = _Past(self._held(read), self._weights(seen), module.keep, self.storage)
            belief = read.get("belief", logits.new_zeros(0))
            logits, belief, trust = module.mixture(logits, past, belief.unsqueeze(0), read["trust"].unsqueeze(0))
            after |= {"belief": belief.view(-1), "trust": trust.view(-1)} | self._kept(read, past)
        return torch.where(seen == 0, backbone_logits, logits).view(-1), after

    def _held(self, read: dict[str, Tensor]) -> Tensor:
        """The predictions in the bank, [N, C]."""
        scale = read["scales"].view(-1) if "scales" in read else None
        shares = decode(read["bank"], scale, torch.float32)
        return spread(shares.t(), read["numbers"].t().long(), self.module.settings["classes"])

    def _weights(self, seen: Tensor) -> Tensor:
        """What each of them counts at each time scale, [J, N]."""
        decayed = torch.exp(-(ages(seen, self.capacity) - 1) / self.module.mixture.scales.unsqueeze(1))
        return decayed * held(seen, self.capacity)

    def _kept(self, read: dict[str, Tensor], past: "_Past") -> dict[str, Tensor]:
        """The bank after the image."""
        _, (shares, scale) = through_storage(past.shares.t(), self.storage)
        after = {
            "bank": put(read["bank"], shares, read["seen"]),
            "numbers": put(read["numbers"], past.numbers.t().to(torch.int16), read["seen"]),
        }
        if scale is not None:
            after["scales"] = put(read["scales"], scale.view(1, 1), read["seen"])
        return after


class _Past:
    """What one client's bank says when its next image arrives; see `iciia.contexts.recent.Recent`.

    Args:
        held: The predictions in the bank, [N, C].
        weights: What each counts at each time scale, [J, N].
        keep: Probabilities kept of an image.
        storage: How.

    Attributes:
        shares: What is kept of the image, float32 [1, keep].
        numbers: Of which classes, int64 [1, keep].
    """

    shares: Tensor
    numbers: Tensor

    def __init__(self, held: Tensor, weights: Tensor, keep: int, storage: torch.dtype) -> None:
        self._sums = (weights @ held).unsqueeze(0)
        self._keep, self._storage = keep, storage

    def sums(self, step: int) -> Tensor:
        return self._sums

    def remember(self, probabilities: Tensor) -> Tensor:
        kept, self.shares, self.numbers = highest(probabilities, self._keep, self._storage)
        return kept
