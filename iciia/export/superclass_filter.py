"""The superclass filter's step, in float32."""

import torch
from torch import Tensor

from iciia.adapters.base import log_scores
from iciia.adapters.superclass_filter import SuperclassFilterAdapter
from iciia.export.step import Named, Step, logits_of_backbone


class SuperclassFilterStep(Step):
    """One image of the filter; see `SuperclassFilterAdapter`. It reads the backbone's logits alone.

    State: `belief` in the superclasses, float32 [S].

    Args:
        adapter: The adapter.
    """

    group: Tensor
    weight: Tensor

    def __init__(self, adapter: SuperclassFilterAdapter) -> None:
        superclasses = len(adapter.size)
        belief = Named("belief", torch.full((superclasses,), 1 / superclasses), ("superclass",))
        super().__init__((logits_of_backbone(adapter.source.classes),), (belief,))
        self.hazard, self.temperature = adapter.hazard, adapter.source.temperature
        self.register_buffer("group", adapter.group)
        self.register_buffer("weight", 1 / (adapter.prior * adapter.size[adapter.group]))  # 1 / (pi_c |s|)

    def advance(self, read: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        belief = read["belief"]
        p = torch.softmax(read["backbone_logits"] / self.temperature, dim=-1)
        expected = (1 - self.hazard) * belief + self.hazard / len(belief)
        after = expected * torch.zeros_like(belief).index_add(0, self.group, p * self.weight)
        total = after.sum()
        weighted = expected[self.group] * self.weight * p
        logits = log_scores(torch.where(weighted.sum() == 0, p, weighted))
        return logits, {"belief": torch.where(total > 0, after / total, expected)}
