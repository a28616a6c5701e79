"""ICIIA: intra-client, inter-image attention between a frozen backbone and its prediction.

Source: Yan et al., arXiv 2211.06276. Theirs is the set context with the replaced head. The stream context, the residual head, its
shortlist and the rule for an empty bank are ours.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from huggingface_hub import PyTorchModelHubMixin
from numpy.typing import NDArray
from torch import Tensor, nn

from iciia.banks.bank import FeatureBank, through_storage
from iciia.contexts.encoder import EncoderLayer
from iciia.contexts.reference import translate
from iciia.contexts.session import Session, export
from iciia.policies import Evidence, Policy
from iciia.policies.plan import Plan

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

    knows: Literal["nothing", "superclasses"] = "nothing"

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

    def session(
        self, capacity: int, storage: torch.dtype = torch.float32, policy: Policy | None = None, seed: int = 0
    ) -> Session:
        """One client on a device: image by image, the bank of `capacity` images inside."""
        return Session(self, capacity, storage, policy, seed)

    def export(self, folder: str | Path, capacity: int) -> Path:
        """Writes the one-image step, bank as input and output, with `torch.export`; see `iciia.contexts.session.OneImage`.

        Returns:
            The file, for `torch.export.load`.
        """
        return export(self, Path(folder), capacity)

    @property
    def bank_vectors(self) -> int:
        """G, the vectors that a bank keeps of an image."""
        return bank_vectors(self.context, len(self.layers))

    def empty_bank(
        self,
        clients: int | NDArray[np.int64],
        capacity: int,
        storage: torch.dtype = torch.float32,
        policy: Policy | None = None,
        seed: int = 0,
    ) -> FeatureBank:
        """Banks for K clients that have seen nothing; see `FeatureBank.empty`."""
        sizes = self.bank_vectors, self.settings["features"], self.settings["classes"]
        return FeatureBank.empty(clients, capacity, *sizes, storage, policy, seed, self.classifier.weight.device)

    def forward(
        self,
        features: Tensor,
        backbone_logits: Tensor,
        bank: FeatureBank,
        evidence: Evidence | None = None,
        attention: list[Tensor] | None = None,
    ) -> tuple[Tensor, FeatureBank]:
        """Predicts a chunk of every client's stream.

        The result equals feeding the chunk one image at a time.

        Args:
            features: The backbone's features, [K, T, D].
            backbone_logits: The backbone's own logits, [K, T, C].
            bank: The clients' banks before the chunk. They are written in place; go on with those that are returned.
            evidence: What bank policies see of the chunk, if it is at hand: several modules can share it.
            attention: Takes, for a few clients after the other, the weights [K, T, N + T] by which each target attends to the
                bank's slots and the chunk's images, means over heads and layers. Stream context only.

        Returns:
            Logits [K, T, C], float32, and the banks after the chunk.
        """
        clients, targets = features.shape[:2]
        plan, after = bank.plan(evidence or Evidence(features, backbone_logits))
        if self._keeps_backbone(bank) and attention is None:
            return backbone_logits, after
        alone = plan.alone() if self.context != "none" else features.new_zeros(1, targets).bool()
        together = max(1, COLUMNS // targets)
        logits = []
        for first in range(0, clients, together):
            some = slice(first, min(first + together, clients))
            x = _columns_first(features[some], self.classifier.weight.dtype)
            x = self._calibrate(x, bank, plan, some, attention)
            lonely = alone if len(alone) == 1 else alone[some]
            logits.append(self._classify(x, backbone_logits[some], lonely))
        return (logits[0] if len(logits) == 1 else torch.cat(logits)), after

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
            nobody = torch.zeros(1, targets, dtype=torch.bool, device=x.device)
            return self._classify(self._feed_forward(x), backbone_logits, nobody)
        causal = torch.ones(targets, targets, dtype=torch.bool, device=x.device).tril()
        for layer in self._encoder:
            x = _all_to_all(layer, x, causal)
        return self._classify(x, backbone_logits, torch.arange(targets, device=x.device).unsqueeze(0) == 0)

    def forward_sets(self, features: Tensor, backbone_logits: Tensor, last_only: bool = False) -> Tensor:
        """Predicts every image of whole sets, all to all: the paper's training and batch protocol. Not causal.

        Args:
            features: [B, n, D].
            backbone_logits: [B, n, C].
            last_only: Whether only the last image of each set is wanted, which is cheaper.

        Returns:
            Logits [B, n, C], or [B, 1, C], float32. With the residual head the backbone's of a single image, which has nothing to
            be calibrated by.
        """
        x = _columns_first(features, self.classifier.weight.dtype)
        everything = torch.ones(1, 1, features.shape[1], dtype=torch.bool, device=x.device)
        if last_only:
            backbone_logits = backbone_logits[:, -1:]
        if self.context == "none":
            x = self._feed_forward(x[:, :, -1:].contiguous() if last_only else x)
        else:
            *layers, last = self._encoder
            for layer in layers:
                x = _all_to_all(layer, x, everything)
            x = _all_to_last(last, x, everything) if last_only else _all_to_all(last, x, everything)
        single = features.shape[1] == 1 and self.context != "none"
        alone = torch.full((1, backbone_logits.shape[1]), single, dtype=torch.bool, device=x.device)
        return self._classify(x, backbone_logits, alone)

    @property
    def _encoder(self) -> Iterable[EncoderLayer]:
        return cast(Iterable[EncoderLayer], self.layers)

    def _keeps_backbone(self, bank: FeatureBank) -> bool:
        """Whether no image ever meets anything to calibrate by."""
        return self.head == "residual" and self.context != "none" and bank.capacity == 0

    def _calibrate(
        self, x: Tensor, bank: FeatureBank, plan: Plan, some: slice, attention: list[Tensor] | None
    ) -> Tensor:
        """Takes some clients' targets [D, K, T] through the layers, and writes into their banks what stays of them."""
        if self.context == "none":
            return self._feed_forward(x)
        if self.context == "stream" or len(self.layers) == 1:
            return self._stream(x, bank, plan, some, attention)
        return self._set(x, bank, plan, some)

    def _feed_forward(self, x: Tensor) -> Tensor:
        for layer in self._encoder:
            x = layer.feed_forward(x)
        return x

    def _stream(self, x: Tensor, bank: FeatureBank, plan: Plan, some: slice, attention: list[Tensor] | None) -> Tensor:
        visible = plan.of(some)
        watched: list[Tensor] | None = None if attention is None else []
        for number, layer in enumerate(self._encoder):
            q, k, v = layer.project(x)
            (k, kept_k), (v, kept_v) = (through_storage(part, bank.storage) for part in (k, v))
            if bank.capacity:
                past_k, past_v = (bank.past(2 * number + i, some, x.dtype) for i in (0, 1))
                x = layer(x, q, [past_k, k], [past_v, v], visible, watched)
                bank.write(2 * number, some, kept_k, plan)
                bank.write(2 * number + 1, some, kept_v, plan)
            else:
                x = layer(x, q, [k], [v], visible, watched)
        if attention is not None and watched:
            attention.append(torch.stack(watched).mean(dim=0))
        return x

    def _set(self, x: Tensor, bank: FeatureBank, plan: Plan, some: slice) -> Tensor:
        """One set of the bank and the target for each target; the target is its last member."""
        _, clients, targets = x.shape
        first, *middle, last = self._encoder
        arrived = [through_storage(part, bank.storage) for part in (x.transpose(0, 1), *first.project(x))]
        images = torch.stack([part for part, _ in arrived])  # [4, K, D, T]
        if bank.capacity:
            images = torch.cat([torch.stack([bank.past(g, some, x.dtype) for g in range(4)]), images], dim=3)
        member, used = _members(plan.of(some).expand(clients, -1, -1), bank.capacity)
        # an image's four vectors in one row, so that gathering a set copies whole rows: [K * (N + T), 4, D]
        rows = images.permute(1, 3, 0, 2).flatten(0, 1)
        first_row = torch.arange(clients, device=x.device).repeat_interleave(targets) * images.shape[3]
        member = member + first_row.unsqueeze(1)
        calibrated = []
        together = max(1, 8 * COLUMNS // member.shape[1])
        for start in range(0, clients * targets, together):
            part = slice(start, start + together)
            h, q, k, v = rows[member[part]].permute(2, 0, 3, 1)  # [B, n, 4, D] -> [4, B, D, n]
            h = h.transpose(0, 1).contiguous()
            h = first(h, q, [k], [v], used[part])
            for layer in middle:
                h = _all_to_all(layer, h, used[part])
            calibrated.append(_all_to_last(last, h, used[part]))
        if bank.capacity:
            for vector, (_, kept) in enumerate(arrived):
                bank.write(vector, some, kept, plan)
        return torch.cat(calibrated, dim=1).view(-1, clients, targets)

    def _classify(self, x: Tensor, backbone_logits: Tensor, alone: Tensor) -> Tensor:
        """[D, K, T] -> logits [K, T, C]."""
        y = torch.relu(x).flatten(1).t()
        if self.head == "replaced":
            return self.classifier(y).float().view(backbone_logits.shape)
        return backbone_logits + self._correction(y, backbone_logits).masked_fill(alone.unsqueeze(-1), 0.0)

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


def bank_vectors(context: Context, layers: int) -> int:
    """G, the vectors that a bank keeps of an image: keys and values of each layer in the stream context; the image and its
    first-layer query, key and value in the set context (with one layer only the last two are needed)."""
    return {"stream": 2 * layers, "set": 4 if layers > 1 else 2, "none": 0}[context]


def _columns_first(features: Tensor, dtype: torch.dtype) -> Tensor:
    """[K, T, D] -> [D, K, T], contiguous."""
    clients, targets, _ = features.shape
    return features.to(dtype).flatten(0, 1).t().contiguous().view(-1, clients, targets)


def _all_to_all(layer: EncoderLayer, x: Tensor, visible: Tensor) -> Tensor:
    q, k, v = layer.project(x)
    return layer(x, q, [k], [v], visible)


def _all_to_last(layer: EncoderLayer, x: Tensor, visible: Tensor) -> Tensor:
    """The last image of each set alone, [D, B, n] -> [D, B, 1]."""
    target = x[:, :, -1:].contiguous()
    (query,) = layer.project(target, 0, 1)
    key, value = layer.project(x, 1, 3)
    return layer(target, query, [key], [value], visible)


def _members(visible: Tensor, capacity: int) -> tuple[Tensor, Tensor]:
    """The images of each target's set.

    Args:
        visible: bool [K, T, N + T].
        capacity: N.

    Returns:
        Their numbers, int64 [K * T, N + 1], the target last, and whether each is one, bool [K * T, 1, N + 1].
    """
    clients, targets, _ = visible.shape
    itself = torch.arange(targets, device=visible.device) + capacity
    others = visible.scatter(2, itself.view(1, -1, 1).expand(clients, -1, -1), False)
    found = others.to(torch.int8).topk(capacity, dim=2)
    member = torch.cat([found.indices, itself.view(1, -1, 1).expand(clients, -1, 1)], dim=2)
    used = torch.nn.functional.pad(found.values.bool(), (0, 1), value=True)
    return member.flatten(0, 1), used.flatten(0, 1).unsqueeze(1)
