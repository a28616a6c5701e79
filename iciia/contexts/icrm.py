"""ICRM: a causal transformer over a client's images that predicts every one of them. The nearest relative of the stream context.

Source: Gupta et al., "Context is environment", arXiv 2309.09888, ICLR 2024: a GPT-2 of 12 layers, 4 heads, width 128 and 100
positions, cross-entropy at every position. Ours differs:

- The backbone is frozen, so it reads features, of unit length times sqrt(D), where theirs learns them too.
- Theirs predicts contexts of up to 100 images. On a stream that goes on, ours reads the last 50 again, as images 1 to 50 of a
  context, when all positions are taken, so that later images see 50 to 99 others.
"""

from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn


@dataclass(frozen=True)
class Reading:
    """What K clients' contexts hold.

    Args:
        keys: Of every layer, [K, L, n, E].
        values: Likewise.
        inputs: The latest images as they were read in, [K, m, E], m up to half the positions.
    """

    keys: Tensor
    values: Tensor
    inputs: Tensor


class Block(nn.Module):
    """A GPT-2 block: x + attention(norm(x)), then x + feed-forward(norm(x)).

    Args:
        width: E.
        heads: H; must divide E.
        dropout: On what is added.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The images, [K, T, E], after the block, and all keys and values, [K, n + T, E], those before them first."""
        q, k, v = self.qkv(self.norm1(x)).chunk(3, dim=-1)
        keys, values = torch.cat([keys, k], dim=1), torch.cat([values, v], dim=1)
        targets, seen = x.shape[1], keys.shape[1]
        visible = torch.ones(targets, seen, dtype=torch.bool, device=x.device).tril(seen - targets)
        query, key, value = (y.unflatten(-1, (self.heads, -1)).transpose(1, 2) for y in (q, keys, values))
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        x = x + self.dropout(self.out(found.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.narrow(F.gelu(self.wide(self.norm2(x)), approximate="tanh"))), keys, values


class Icrm(nn.Module, PyTorchModelHubMixin, library_name="iciia"):
    """Logits of each image from itself and the images before it in its context.

    Args:
        features: D.
        classes: C.
        layers: L.
        heads: H; must divide the width.
        width: E.
        positions: The most images in a context, the target's included.
        dropout: Theirs has none.

    Raises:
        ValueError: H does not divide the width.
    """

    head: Literal["replaced"] = "replaced"
    knows: Literal["nothing", "superclasses"] = "nothing"

    def __init__(
        self,
        features: int,
        classes: int,
        layers: int = 12,
        heads: int = 4,
        width: int = 128,
        positions: int = 100,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"got {heads} heads, which do not divide the width {width}")
        self.settings: dict[str, Any] = {"features": features, "classes": classes, "layers": layers, "width": width}
        self.positions = positions
        self.read_in = nn.Linear(features, width)
        self.place = nn.Embedding(positions, width)
        self.blocks = nn.ModuleList(Block(width, heads, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, classes)
        for weight in self.parameters():
            if weight.dim() > 1:
                nn.init.xavier_uniform_(weight)

    def empty(self, clients: int) -> Reading:
        """What clients that have seen nothing hold."""
        width, nothing = self.settings["width"], self.place.weight.new_zeros(clients, self.settings["layers"], 0, 1)
        return Reading(
            nothing.expand(-1, -1, -1, width), nothing.expand(-1, -1, -1, width), nothing[:, 0].expand(-1, -1, width)
        )

    def forward(self, features: Tensor, reading: Reading, positions: int | None = None) -> tuple[Tensor, Reading]:
        """Logits of the next images, [K, T, C], float32, and what contexts hold after them.

        Args:
            features: [K, T, D].
            reading: Before them.
            positions: The most images in a context; None for all positions that there are.
        """
        positions = self.positions if positions is None else positions
        scaled = F.normalize(features, dim=-1) * features.shape[-1] ** 0.5
        rest, found = self.read_in(scaled.to(self.place.weight.dtype)), []
        while rest.shape[1]:
            if reading.keys.shape[2] == positions:
                _, reading = self._extend(reading.inputs, self.empty(len(rest)), positions)
            room = positions - reading.keys.shape[2]
            part, rest = rest[:, :room], rest[:, room:]
            y, reading = self._extend(part, reading, positions)
            found.append(y)
        return self.classifier(self.norm(torch.cat(found, dim=1))).float(), reading

    def _extend(self, x: Tensor, reading: Reading, positions: int) -> tuple[Tensor, Reading]:
        """Takes images, [K, T, E], that there is room for through the blocks."""
        held = reading.keys.shape[2]
        inputs = torch.cat([reading.inputs, x], dim=1)
        inputs = inputs[:, max(0, inputs.shape[1] - positions // 2) :]
        x = x + self.place.weight[held : held + x.shape[1]]
        keys, values = [], []
        for layer, block in enumerate(self.blocks):
            x, k, v = cast(Block, block)(x, reading.keys[:, layer], reading.values[:, layer])
            keys.append(k)
            values.append(v)
        return x, Reading(torch.stack(keys, dim=1), torch.stack(values, dim=1), inputs.clone())

    def forward_sequences(self, features: Tensor, backbone_logits: Tensor) -> Tensor:
        """Logits of every image of whole sequences, [B, T, C], float32: one pass trains T targets."""
        return self(features, self.empty(len(features)))[0]
