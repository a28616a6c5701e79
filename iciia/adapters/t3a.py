"""T3A: the backbone's classifier, its rows moved by the client's own most certain features.

Source: Iwasawa and Matsuo, "Test-time classifier adjustment module for model-agnostic domain generalization", NeurIPS 2021. Here
row c of the classifier is a support of class c whatever the classifier says of it.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk
from iciia.adapters.source import Source
from iciia.overhead import Cost


@dataclass(frozen=True)
class Supports:
    """The supports of K clients beyond the classifier's rows.

    Args:
        features: Of unit length, oldest first, [K, n, D]; with all kept, their sum for each class.
        label: The class that the backbone predicts, int32 [K, n]; -1 where there is none.
        entropy: Of its probabilities, nats, [K, n].
        row: Whether each classifier row still is a support, bool [K, C].
    """

    features: Tensor
    label: Tensor
    entropy: Tensor
    row: Tensor


class T3aAdapter(Adapter):
    """Product of the feature with each class's normalised mean of unit-length supports; no bias. Supports are the classifier's rows
    and, image by image, the feature with the class that the backbone predicts; of each class the S of lowest entropy are kept.

    Args:
        source: The classifier.
        supports: S; None keeps all.

    Raises:
        ValueError: S is not positive, or the classifier is unknown.
    """

    kind = "t3a"
    gives = "ranking"

    def __init__(self, source: Source, supports: int | None = 20) -> None:
        if supports is not None and (isinstance(supports, bool) or not isinstance(supports, int) or supports < 1):
            raise ValueError(f"got {supports!r} supports; expected an integer of 1 or more, or None")
        self.source, self.supports = source, supports
        weight, bias = source.classifier()
        self.rows = F.normalize(weight, dim=1)
        self.row_entropy = _entropy(weight @ weight.t() + bias)

    def start(self, clients: NDArray[np.int64], seed: int) -> Supports:
        count, nothing = len(clients), torch.zeros(len(clients), 0)
        return Supports(
            torch.zeros(count, 0, self.source.features),
            nothing.to(torch.int32),
            nothing,
            torch.ones(count, self.source.classes, dtype=torch.bool),
        )

    def predict(self, state: Supports, chunk: Chunk) -> tuple[Tensor, Supports]:
        features = torch.cat([state.features, F.normalize(chunk.features, dim=-1)], dim=1)  # [K, n + T, D]
        arriving = chunk.logits.argmax(dim=-1).to(torch.int32)
        label = torch.cat([state.label, torch.full_like(arriving, -1)], dim=1)
        entropy = torch.cat([state.entropy, _entropy(chunk.logits)], dim=1)
        row = state.row.clone()
        scores = self._scores_before(state, chunk.features)
        held, targets = state.label.shape[1], arriving.shape[1]
        changed = torch.empty_like(chunk.features)  # the classifier row that each arrival changes
        for t in range(targets):
            label[:, held + t] = arriving[:, t]
            self._drop(label, entropy, row, arriving[:, t])
            member = (label == arriving[:, t : t + 1]).to(features.dtype)
            total = torch.bmm(member.unsqueeze(1), features).squeeze(1)
            of_class = arriving[:, t].long()
            total += self.rows[of_class] * row.gather(1, of_class.unsqueeze(1))
            changed[:, t] = F.normalize(total, dim=1)
        products = chunk.features @ changed.transpose(1, 2)  # [K, T, T]
        for s in range(targets):
            column = arriving[:, s].long().view(-1, 1, 1).expand(-1, targets - s, 1)
            scores[:, s:].scatter_(2, column, products[:, s:, s : s + 1])
        return scores, self._kept(features, label, entropy, row)

    def _scores_before(self, state: Supports, z: Tensor) -> Tensor:
        """Scores [K, T, C] by the supports before a chunk."""
        scores = z @ self.rows.t()
        for k, label in enumerate(state.label):
            there = label >= 0
            total = self.rows * state.row[k].unsqueeze(1)
            total = total.index_add(0, label[there].long(), state.features[k, there])
            moved = label[there].long().unique()
            scores[k][:, moved] = z[k] @ F.normalize(total[moved], dim=1).t()
        return scores

    def _drop(self, label: Tensor, entropy: Tensor, row: Tensor, arrived: Tensor) -> None:
        """Lets the support of highest entropy go where the arrived class has one too many."""
        if self.supports is None:
            return
        member = label == arrived.unsqueeze(1)
        of_class = arrived.long().unsqueeze(1)
        row_there = row.gather(1, of_class)
        over = member.sum(dim=1) + row_there.squeeze(1) > self.supports
        if not over.any():
            return
        candidates = torch.cat([entropy, self.row_entropy[of_class]], dim=1)
        candidates = candidates.masked_fill(~torch.cat([member, row_there], dim=1), -1.0)
        worst = candidates.argmax(dim=1)
        is_row = worst == label.shape[1]
        clients = (over & is_row).nonzero().squeeze(1)
        row[clients, arrived[clients].long()] = False
        clients = (over & ~is_row).nonzero().squeeze(1)
        label[clients, worst[clients]] = -1

    def _kept(self, features: Tensor, label: Tensor, entropy: Tensor, row: Tensor) -> Supports:
        if self.supports is None:
            features, label, entropy = _summed(features, label, entropy)
        there = label >= 0
        most = int(there.sum(dim=1).max())
        first = (~there).to(torch.int8).sort(dim=1, stable=True).indices[:, :most]
        into = first.unsqueeze(2).expand(-1, -1, features.shape[2])
        return Supports(features.gather(1, into), label.gather(1, first), entropy.gather(1, first), row)

    def cost(self) -> Cost:
        """C D for the scores, S D for the mean of the class that the image joins. At most S supports of each class, each a feature,
        its class and its entropy; the classifier's rows are shared, but for a byte that says whether they still count."""
        c, d, s = self.source.classes, self.source.features, self.supports or 1
        macs = c * d + s * d
        state_bytes = s * c * (4 * d + 8) + c
        return Cost(macs_per_image=macs, macs_module=s * d, state_bytes=state_bytes, parameters=c * d)


def _entropy(logits: Tensor) -> Tensor:
    """Nats, [...], of logits [..., C]."""
    log_p = torch.log_softmax(logits, dim=-1)
    return -(log_p.exp() * log_p).sum(dim=-1)


def _summed(features: Tensor, label: Tensor, entropy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One support for each class of each client in place of all of them: their sum, at the place of the first."""
    column = label.unsqueeze(1)
    same = (column == column.transpose(1, 2)) & (column >= 0)  # [K, n, n]
    first = same.to(torch.int8).argmax(dim=2) == torch.arange(label.shape[1])
    return same.to(features.dtype) @ features, label.masked_fill(~first, -1), entropy
