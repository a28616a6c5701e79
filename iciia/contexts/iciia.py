"""ICIIA: intra-client, inter-image attention between a frozen backbone and its prediction.

Source: Yan et al., arXiv 2211.06276. Theirs is the set context with the replaced head. The stream context, the residual head, its
shortlist and the rule for an empty bank are ours.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import numpy as np
import torch
from huggingface_hub import PyTorchModelHubMixin
from numpy.typing import NDArray
from torch import Tensor, nn

from iciia.banks.bank import FeatureBank
from iciia.contexts.encoder import EncoderLayer
from iciia.contexts.reference import translate
from iciia.contexts.session import Session
from iciia.contexts.set import COLUMNS, all_to_all, all_to_last, through_set
from iciia.contexts.stream import through_stream
from iciia.heads.replaced import replace
from iciia.heads.residual import correct
from iciia.policies import Evidence, Policy
from iciia.policies.plan import Plan

Context = Literal["set", "stream", "none"]
Head = Literal["replaced", "residual"]


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
    ) -> Session[FeatureBank]:
        """One client on a device: image by image, the bank of `capacity` images inside."""
        return Session(self, capacity, storage, policy, seed)

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
        if self.keeps_backbone(bank.capacity) and attention is None:
            return backbone_logits, after
        alone = plan.alone() if self.context != "none" else features.new_zeros(1, targets).bool()
        together = max(1, COLUMNS // targets)
        logits = []
        for first in range(0, clients, together):
            some = slice(first, min(first + together, clients))
            x = _columns_first(features[some], self.classifier.weight.dtype)
            x = self._calibrate(x, bank, plan, some, attention)
            lonely = alone if len(alone) == 1 else alone[some]
            logits.append(self.classify(x, backbone_logits[some], lonely))
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
            return self.classify(self._feed_forward(x), backbone_logits, nobody)
        causal = torch.ones(targets, targets, dtype=torch.bool, device=x.device).tril()
        for layer in self._encoder:
            x = all_to_all(layer, x, causal)
        return self.classify(x, backbone_logits, torch.arange(targets, device=x.device).unsqueeze(0) == 0)

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
                x = all_to_all(layer, x, everything)
            x = all_to_last(last, x, everything) if last_only else all_to_all(last, x, everything)
        single = features.shape[1] == 1 and self.context != "none"
        alone = torch.full((1, backbone_logits.shape[1]), single, dtype=torch.bool, device=x.device)
        return self.classify(x, backbone_logits, alone)

    @property
    def _encoder(self) -> Sequence[EncoderLayer]:
        return cast(Sequence[EncoderLayer], self.layers)

    def keeps_backbone(self, capacity: int) -> bool:
        """Whether no image ever meets anything to calibrate by, so that nothing is computed."""
        return self.head == "residual" and self.context != "none" and capacity == 0

    def _calibrate(
        self, x: Tensor, bank: FeatureBank, plan: Plan, some: slice, attention: list[Tensor] | None
    ) -> Tensor:
        """Takes some clients' targets [D, K, T] through the layers, and writes into their banks what stays of them."""
        if self.context == "none":
            return self._feed_forward(x)
        if self.context == "stream" or len(self.layers) == 1:
            return through_stream(self._encoder, x, bank, plan, some, attention)
        return through_set(self._encoder, x, bank, plan, some)

    def _feed_forward(self, x: Tensor) -> Tensor:
        for layer in self._encoder:
            x = layer.feed_forward(x)
        return x

    def classify(self, x: Tensor, backbone_logits: Tensor, alone: Tensor) -> Tensor:
        """[D, K, T] -> logits [K, T, C]."""
        y = torch.relu(x).flatten(1).t()
        if self.head == "replaced":
            return replace(self.classifier, y, backbone_logits)
        return correct(self.classifier, y, backbone_logits, alone, self.shortlist)


def bank_vectors(context: Context, layers: int) -> int:
    """G, the vectors that a bank keeps of an image: keys and values of each layer in the stream context; the image and its
    first-layer query, key and value in the set context (with one layer only the last two are needed)."""
    return {"stream": 2 * layers, "set": 4 if layers > 1 else 2, "none": 0}[context]


def _columns_first(features: Tensor, dtype: torch.dtype) -> Tensor:
    """[K, T, D] -> [D, K, T], contiguous."""
    clients, targets, _ = features.shape
    return features.to(dtype).flatten(0, 1).t().contiguous().view(-1, clients, targets)
