"""ICIIA: intra-client, inter-image attention between a frozen backbone and its prediction.

Source: Yan et al., arXiv 2211.06276. Theirs is the set context with the replaced head. The stream context, the residual head, its
shortlist and the rule for an empty bank are ours.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from iciia.bank import FeatureBank
from iciia.encoder import EncoderLayer
from iciia.reference import translate
from iciia.session import Session, export

Context = Literal["set", "stream", "none"]
Head = Literal["replaced", "residual"]

COLUMNS = 256
"""Vectors that go through the layers of a stream together; more would not stay in a core's cache."""


class ICIIA(nn.Module, PyTorchModelHubMixin, library_name="iciia"):
    """A stack of attention layers over a client's images, and a classifier.

    `save_pretrained(folder)` and `from_pretrained(folder or hub name)` follow the Hugging Face hub's convention: weights in
    safetensors and the settings in a small JSON file; nothing in them is executed.

    Contexts:
        set: The target and its bank attend to each other, all to all, in every layer, and are computed anew for each
            target. Each image's first-layer projections are kept in the bank, and the last layer is computed for the target alone.
        stream: Causal. Each image attends to itself and to what its bank held when it arrived; every layer's key and value are
            computed once, on arrival, and kept in the bank.
        none: No attention and no bank; the `ff` ablation.

    Heads:
        replaced: A new classifier in place of the backbone's.
        residual: A correction of the backbone's logits that starts at zero. An image whose bank is empty keeps the backbone's
            logits: there is nothing to calibrate by.

    Args:
        features: D, the backbone's feature dimension.
        classes: C.
        layers: L.
        heads: H; must divide D.
        partitions: P; must divide D. 1 is the paper's ICIIA-B, 256 its ICIIA-T.
        context: See above.
        head: See above.
        shortlist: With the residual head, correct only this many classes, those that the backbone ranks highest: D times as
            many multiply-adds instead of D * C. None corrects all.
        shuffle: Whether partitioned projections shuffle their outputs.
        dropout: As in the paper, 0.1.

    Raises:
        ValueError: H or P does not divide D, or a shortlist is asked for without the residual head.

    Example:
        >>> module = ICIIA(features=8, classes=3, layers=1, heads=2, partitions=2).eval()
        >>> bank = module.empty_bank(clients=1, capacity=4)
        >>> logits, bank = module(torch.zeros(1, 5, 8), torch.ones(1, 5, 3), bank)
        >>> logits.shape, bank.seen
        (torch.Size([1, 5, 3]), 5)
    """

    def __init__(
        self,
        features: int,
        classes: int,
        layers: int = 2,
        heads: int = 4,
        partitions: int = 1,
        context: Context = "stream",
        head: Head = "residual",
        shortlist: int | None = None,
        shuffle: bool = True,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if shortlist is not None and (head != "residual" or not 1 <= shortlist <= classes):
            raise ValueError(f"got a shortlist of {shortlist}; it takes the residual head and 1 to {classes} classes")
        self.settings: dict[str, Any] = {
            "features": features,
            "classes": classes,
            "layers": layers,
            "heads": heads,
            "partitions": partitions,
            "context": context,
            "head": head,
            "shortlist": shortlist,
            "shuffle": shuffle,
            "dropout": dropout,
        }
        self.context = context
        self.head = head
        self.shortlist = shortlist
        self.layers = nn.ModuleList(
            EncoderLayer(features, heads, partitions, dropout, shuffle, attention=context != "none")
            for _ in range(layers)
        )
        self.classifier = nn.Linear(features, classes)
        if head == "residual":  # start at the backbone's own prediction, not at noise
            nn.init.zeros_(self.classifier.weight)
            nn.init.zeros_(self.classifier.bias)

    @classmethod
    def from_reference(cls, state: Mapping[str, Tensor], heads: int = 4) -> "ICIIA":
        """A module with the weights of one of the authors' checkpoints: set context, replaced head.

        Args:
            state: Their state dict, float32, in either of their layouts.
            heads: H; not in the checkpoint. 4 in all the paper's results.

        Returns:
            The module, in evaluation mode.

        Raises:
            ValueError: A weight is missing or of a shape that does not fit; the message names it.
        """
        settings, weights = translate(state)
        module = cls(**settings, heads=heads, context="set", head="replaced")
        try:
            module.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(f"not a checkpoint of the authors' code: {error}") from error
        return module.eval()

    def session(self, capacity: int, storage: torch.dtype = torch.float32) -> Session:
        """One client on a device: image by image, the bank of `capacity` images inside."""
        return Session(self, capacity, storage)

    def export(self, folder: str | Path, capacity: int) -> Path:
        """Writes the one-image step, bank as input and output, with `torch.export`; see `iciia.session.OneImage`.

        Returns:
            The file, for `torch.export.load`.
        """
        return export(self, Path(folder), capacity)

    @property
    def bank_vectors(self) -> int:
        """G, the vectors that a bank keeps of an image: keys and values of each layer in the stream context; the image and its
        first-layer query, key and value in the set context (with one layer only the last two are needed)."""
        layers = len(self.layers)
        return {"stream": 2 * layers, "set": 4 if layers > 1 else 2, "none": 0}[self.context]

    def empty_bank(self, clients: int, capacity: int, storage: torch.dtype = torch.float32) -> FeatureBank:
        """Banks for K clients that have seen nothing."""
        device = self.classifier.weight.device
        return FeatureBank.empty(clients, capacity, self.bank_vectors, self.settings["features"], storage, device)

    def forward(self, features: Tensor, backbone_logits: Tensor, bank: FeatureBank) -> tuple[Tensor, FeatureBank]:
        """Predicts a chunk of every client's stream.

        The result equals feeding the chunk one image at a time.

        Args:
            features: The backbone's features, [K, T, D].
            backbone_logits: The backbone's own logits, [K, T, C].
            bank: The clients' banks before the chunk.

        Returns:
            Logits [K, T, C], float32, and the banks after the chunk.
        """
        clients, targets = features.shape[:2]
        together = max(1, COLUMNS // targets)
        logits, arrived = [], []
        for first in range(0, clients, together):
            some = slice(first, first + together)
            x, new = self._calibrate(_columns_first(features[some], self.classifier.weight.dtype), bank, some)
            logits.append(self._classify(x, backbone_logits[some], alone=self._alone(bank, targets)))
            arrived.append(new)
        if len(arrived) == 1:
            return logits[0], bank.remember(arrived[0], targets)
        return torch.cat(logits), bank.remember(torch.cat(arrived, dim=1), targets)

    def forward_sequences(self, features: Tensor, backbone_logits: Tensor) -> Tensor:
        """Predicts every image of whole sequences whose banks start empty and forget nothing: one pass trains T targets.

        Args:
            features: [B, T, D].
            backbone_logits: [B, T, C].

        Returns:
            Logits [B, T, C], float32.

        Raises:
            ValueError: The module has the set context, which has no such pass.
        """
        if self.context == "set":
            raise ValueError("a module with the set context is trained on sets, not on sequences")
        x = _columns_first(features, self.classifier.weight.dtype)
        targets = x.shape[2]
        if self.context == "none":
            x, _ = self._feed_forward(x)
            return self._classify(x, backbone_logits, torch.zeros(targets, dtype=torch.bool, device=x.device))
        causal = torch.ones(targets, targets, dtype=torch.bool, device=x.device).tril()
        x, _ = self._stream(x, x.new_zeros(self.bank_vectors, x.shape[1], x.shape[0], 0), causal, x.dtype)
        return self._classify(x, backbone_logits, torch.arange(targets, device=x.device) == 0)

    def forward_sets(self, features: Tensor, backbone_logits: Tensor) -> Tensor:
        """Predicts every image of whole sets, all to all: the paper's training and batch protocol. Not causal.

        Args:
            features: [B, n, D].
            backbone_logits: [B, n, C].

        Returns:
            Logits [B, n, C], float32.
        """
        x = _columns_first(features, self.classifier.weight.dtype)
        everything = torch.ones(1, 1, features.shape[1], dtype=torch.bool, device=x.device)
        for layer in self._encoder:
            x = _all_to_all(layer, x, everything) if self.context != "none" else layer.feed_forward(x)
        alone = torch.zeros(features.shape[1], dtype=torch.bool, device=x.device)
        return self._classify(x, backbone_logits, alone)

    @property
    def _encoder(self) -> Iterable[EncoderLayer]:
        return cast(Iterable[EncoderLayer], self.layers)

    def _calibrate(self, x: Tensor, bank: FeatureBank, some: slice) -> tuple[Tensor, Tensor]:
        """Takes targets [D, K, T] through the layers; returns them and what the bank keeps of the last of them."""
        past = bank.entries[:, some].to(x.dtype)
        storage = bank.entries.dtype
        if self.context == "none":
            return self._feed_forward(x)
        if self.context == "stream" or len(self.layers) == 1:
            return self._stream(x, past, bank.visible(x.shape[2]), storage)
        return self._set(x, past, bank.held(x.shape[2]), storage)

    def _feed_forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for layer in self._encoder:
            x = layer.feed_forward(x)
        return x, x.new_zeros(0, x.shape[1], x.shape[0], x.shape[2])

    def _stream(self, x: Tensor, past: Tensor, visible: Tensor, storage: torch.dtype) -> tuple[Tensor, Tensor]:
        arrived: list[Tensor] = []
        for number, layer in enumerate(self._encoder):
            q, k, v = layer.project(x)
            k, v = _as_stored(k, storage), _as_stored(v, storage)
            arrived += [k, v]
            x = layer(x, q, [past[2 * number], k], [past[2 * number + 1], v], visible)
        outlived = max(0, x.shape[2] - past.shape[3])  # these have left the bank again by the end of the chunk
        return x, torch.stack([part[..., outlived:] for part in arrived])

    def _set(self, x: Tensor, past: Tensor, held: Tensor, storage: torch.dtype) -> tuple[Tensor, Tensor]:
        """One set of the bank and the target for each target; the target is its last member."""
        _, clients, targets = x.shape
        first, *middle, last = self._encoder
        arrived = torch.stack([_as_stored(part, storage) for part in (x.transpose(0, 1), *first.project(x))])
        members = held.shape[1] + 1
        used = torch.nn.functional.pad(held, (0, 1), value=True).repeat(clients, 1).unsqueeze(1)  # [K * T, 1, n]
        # [4, K, D, N + T] -> every window of n images -> [4, K * T, D, n]
        windows = torch.cat([past, arrived], dim=3).unfold(3, members, 1).transpose(2, 3).flatten(1, 2)
        calibrated = []
        together = max(1, 8 * COLUMNS // members)
        for start in range(0, clients * targets, together):
            some = slice(start, start + together)
            member, q, k, v = windows[:, some]
            h = member.transpose(0, 1).contiguous()
            h = first(h, q, [k], [v], used[some])
            for layer in middle:
                h = _all_to_all(layer, h, used[some])
            target = h[:, :, -1:].contiguous()
            (query,) = last.project(target, 0, 1)
            key, value = last.project(h, 1, 3)
            calibrated.append(last(target, query, [key], [value], used[some]))
        return torch.cat(calibrated, dim=1).view(-1, clients, targets), arrived

    def _alone(self, bank: FeatureBank, targets: int) -> Tensor:
        """Which targets meet an empty bank, bool [T]."""
        if self.context == "none":
            return torch.zeros(targets, dtype=torch.bool, device=bank.entries.device)
        return ~bank.held(targets).any(dim=1)

    def _classify(self, x: Tensor, backbone_logits: Tensor, alone: Tensor) -> Tensor:
        """[D, K, T] -> logits [K, T, C]."""
        y = torch.relu(x).flatten(1).t()
        if self.head == "replaced":
            return self.classifier(y).float().view(backbone_logits.shape)
        return backbone_logits + self._correction(y, backbone_logits).masked_fill(alone[:, None], 0.0)

    def _correction(self, y: Tensor, backbone_logits: Tensor) -> Tensor:
        """What the residual head adds, [K, T, C], of y, [K * T, D]."""
        if self.shortlist is None:
            return self.classifier(y).float().view(backbone_logits.shape)
        listed = backbone_logits.topk(self.shortlist, dim=-1).indices
        if len(y) == 1:  # one image: only the listed rows are computed
            rows = listed.flatten()
            corrected = torch.mv(self.classifier.weight[rows], y[0]) + self.classifier.bias[rows]
            corrected = corrected.float().view(listed.shape)
        else:  # many: one product over all classes is faster than gathering rows for each
            corrected = self.classifier(y).float().view(backbone_logits.shape).gather(-1, listed)
        return torch.zeros_like(backbone_logits).scatter(-1, listed, corrected)


def _columns_first(features: Tensor, dtype: torch.dtype) -> Tensor:
    """[K, T, D] -> [D, K, T], contiguous."""
    clients, targets, _ = features.shape
    return features.to(dtype).flatten(0, 1).t().contiguous().view(-1, clients, targets)


def _all_to_all(layer: EncoderLayer, x: Tensor, visible: Tensor) -> Tensor:
    q, k, v = layer.project(x)
    return layer(x, q, [k], [v], visible)


def _as_stored(x: Tensor, storage: torch.dtype) -> Tensor:
    """What is left of numbers after they have been in the bank, so that a chunk equals its steps in any storage."""
    return x.to(storage).to(x.dtype) if storage != x.dtype else x
