"""By what each image in a bank counts when one client's next image arrives: worked out anew from the bank, to be looked at.

Predicting never comes here: it takes whole chunks and keeps no weights. What is worked out here is the same prediction, and its
logits are handed back so that anybody can see that.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from iciia.banks.bank import FeatureBank, through_storage
from iciia.banks.predictions import PredictionBank
from iciia.contexts.encoder import EncoderLayer
from iciia.contexts.iciia import ICIIA
from iciia.contexts.priors import ClientPriors

FIRST = slice(0, 1)


@dataclass(frozen=True)
class Weighed:
    """What one prediction goes by.

    Args:
        steps: Steps at which the images in the bank arrived, int64 [n], ascending.
        weights: How much each counts, float32 [n], in all 1 or less; None if the module goes by none of them.
        logits: The prediction, float32 [C].
    """

    steps: Tensor
    weights: Tensor | None
    logits: Tensor


def weigh(
    module: ICIIA | ClientPriors, features: Tensor, backbone_logits: Tensor, bank: FeatureBank | PredictionBank
) -> Weighed:
    """What the images in a bank count for the next image. The bank stays as it is.

    Of attention: the weights by which the image attends to them, means over heads and layers; the rest is on the image itself. Of
    the priors context: the share of the class prior that comes from their predictions; the rest comes from what is the same for all
    clients and, where classes are grouped, from the group.

    Args:
        module: The module, in evaluation mode.
        features: The next image's features, [1, 1, D].
        backbone_logits: Its logits, [1, 1, C].
        bank: The bank of one client, before the image.
    """
    steps = torch.atleast_2d(bank.keeper.steps())[0]
    slots = torch.argsort(steps)
    slots = slots[steps[slots] >= 0]
    with torch.inference_mode():
        if isinstance(module, ClientPriors):
            assert isinstance(bank, PredictionBank)
            weights, logits = _of_priors(module, features, backbone_logits, bank, slots, bank.seen - steps[slots])
        else:
            assert isinstance(bank, FeatureBank)
            weights, logits = _of_attention(module, features, backbone_logits, bank, slots)
    return Weighed(steps[slots], weights, logits[0, 0])


def _of_attention(
    module: ICIIA, features: Tensor, backbone_logits: Tensor, bank: FeatureBank, slots: Tensor
) -> tuple[Tensor | None, Tensor]:
    if module.keeps_backbone(bank.capacity) or module.context == "none":
        return None, module(features, backbone_logits, bank)[0]
    x = features.to(module.classifier.weight.dtype).transpose(0, 2).contiguous()  # [D, 1, 1]
    watched: list[Tensor] = []
    through = _stream if module.context == "stream" or len(module.layers) == 1 else _set
    x = through(module, x, bank, slots, watched)
    weights = torch.stack([of_layer[0, -1] for of_layer in watched]).mean(dim=0)
    alone = torch.full((1, 1), len(slots) == 0, device=x.device)
    return weights[:-1].float(), module.classify(x, backbone_logits, alone)


def _stream(module: ICIIA, x: Tensor, bank: FeatureBank, slots: Tensor, watched: list[Tensor]) -> Tensor:
    """The image through layers that each look at the keys and values in the bank; see `iciia.contexts.stream`."""
    everything = torch.ones(1, 1, len(slots) + 1, dtype=torch.bool, device=x.device)
    for number, layer in enumerate(module.layers):
        assert isinstance(layer, EncoderLayer)
        query, *arrived = layer.project(x)
        (k, v) = (through_storage(part, bank.storage)[0] for part in arrived)
        past_k, past_v = (bank.past(2 * number + i, FIRST, x.dtype)[:, :, slots] for i in (0, 1))
        x = layer(x, query, [past_k, k], [past_v, v], everything, watched)
    return x


def _set(module: ICIIA, x: Tensor, bank: FeatureBank, slots: Tensor, watched: list[Tensor]) -> Tensor:
    """The image and the bank through all layers together, the last for the image alone; see `iciia.contexts.set`."""
    everything = torch.ones(1, 1, len(slots) + 1, dtype=torch.bool, device=x.device)
    first, *middle, last = (layer for layer in module.layers if isinstance(layer, EncoderLayer))
    arrived = [through_storage(part, bank.storage)[0] for part in (x.transpose(0, 1), *first.project(x))]
    h, q, k, v = (torch.cat([bank.past(g, FIRST, x.dtype)[:, :, slots], part], dim=2) for g, part in enumerate(arrived))
    h = first(h.transpose(0, 1).contiguous(), q, [k], [v], everything, watched)
    for layer in middle:
        q, k, v = layer.project(h)
        h = layer(h, q, [k], [v], everything, watched)
    target = h[:, :, -1:].contiguous()
    (q,) = last.project(target, 0, 1)
    k, v = last.project(h, 1, 3)
    return last(target, q, [k], [v], everything, watched)


class _Known:
    """What is remembered when one image arrives, [1, J, C]."""

    def __init__(self, sums: Tensor) -> None:
        self._sums = sums

    def sums(self, step: int) -> Tensor:
        return self._sums

    def remember(self, probabilities: Tensor) -> Tensor:
        return probabilities


def _of_priors(
    module: ClientPriors, features: Tensor, backbone_logits: Tensor, bank: PredictionBank, slots: Tensor, age: Tensor
) -> tuple[Tensor | None, Tensor]:
    if not len(slots):
        return backbone_logits.new_zeros(0), backbone_logits
    unit = F.normalize(features.float(), dim=-1) * features.shape[-1] ** 0.5
    logits = module.correct(unit, backbone_logits.float() * module.scale)
    if module.settings["attributes"]:
        return None, logits
    mixture = module.mixture
    held = bank.past(FIRST, logits.shape[-1])[0, slots]  # [n, C]
    fading = torch.exp(-(age - 1) / mixture.scales.unsqueeze(1))  # [J, n]
    logits, _, _ = mixture(logits, _Known((fading @ held).unsqueeze(0)), bank.belief[FIRST], bank.trust[FIRST])
    mass = fading * held.sum(dim=-1)
    of_scale = mass / (mass.sum(dim=1) + mixture.log_strength.exp()).unsqueeze(1)
    trust = bank.trust[0, 1 : 1 + len(of_scale)] * (1 - torch.sigmoid(mixture.floor))
    return trust @ of_scale, logits
