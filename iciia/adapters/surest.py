"""What several adapters keep of a client's images: the few of each predicted class that the backbone is surest of."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Surest:
    """Images of K clients, oldest first.

    Args:
        features: [K, n, D].
        more: What else is kept of each, [K, n, E].
        label: The class that each is kept for, int32 [K, n]; -1 where there is none.
        entropy: Of its probabilities, nats, [K, n].
    """

    features: Tensor
    more: Tensor
    label: Tensor
    entropy: Tensor

    @staticmethod
    def empty(clients: int, features: int, more: int = 0, dtype: torch.dtype = torch.float32) -> "Surest":
        """No images; E is `more`, of the given type."""
        return Surest(
            torch.zeros(clients, 0, features),
            torch.zeros(clients, 0, more, dtype=dtype),
            torch.zeros(clients, 0, dtype=torch.int32),
            torch.zeros(clients, 0),
        )

    def join(self, arriving: "Surest", most: int) -> tuple["Surest", Tensor]:
        """The kept and the arriving images, [K, n + T], and which of them are kept after each arrival, bool [K, T, n + T].

        An arrival is kept if fewer than `most` are of its class, or one of these has a higher entropy, which then goes. One of
        label -1 is not.
        """
        features, more, label, entropy = (
            torch.cat([getattr(self, name), getattr(arriving, name)], dim=1)
            for name in ("features", "more", "label", "entropy")
        )
        held, targets = self.label.shape[1], arriving.label.shape[1]
        there = torch.zeros(label.shape, dtype=torch.bool)
        there[:, :held] = self.label >= 0
        kept = torch.empty(len(label), targets, held + targets, dtype=torch.bool)
        for t in range(targets):
            now = held + t
            there[:, now] = label[:, now] >= 0
            member = there & (label == label[:, now : now + 1])
            over = member.sum(dim=1) > most
            # of equal entropies the latest goes
            worst = label.shape[1] - 1 - entropy.masked_fill(~member, -1.0).flip(1).argmax(dim=1)
            there[over, worst[over]] = False
            kept[:, t] = there
        return Surest(features, more, label, entropy), kept

    def only(self, there: Tensor) -> "Surest":
        """Those that are there, bool [K, n], in their order, of clients with fewer of them filled up."""
        most = int(there.sum(dim=1).max())
        first = (~there).to(torch.int8).sort(dim=1, stable=True).indices[:, :most]
        label = self.label.masked_fill(~there, -1)
        wide = first.unsqueeze(2)
        return Surest(
            self.features.gather(1, wide.expand(-1, -1, self.features.shape[2])),
            self.more.gather(1, wide.expand(-1, -1, self.more.shape[2])),
            label.gather(1, first),
            self.entropy.gather(1, first),
        )


def entropy_of(p: Tensor) -> Tensor:
    """Nats, [...], of probabilities [..., C]."""
    return torch.special.entr(p).sum(dim=-1)


def sums_of_classes(values: Tensor, label: Tensor, classes: int) -> Tensor:
    """Values of images, [K, T, n], summed over those of each class, [K, T, C]; what has no class must be 0.

    Args:
        values: [K, T, n].
        label: int32 [K, n].
        classes: C.
    """
    into = label.long().clamp_min(0).unsqueeze(1).expand_as(values)
    return values.new_zeros(*values.shape[:2], classes).scatter_add_(2, into, values)
