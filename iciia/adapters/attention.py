"""ICIIA as an adapter: one trained module, one bank capacity."""

import torch
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk, Cost
from iciia.bank import FeatureBank
from iciia.model import ICIIA, bank_bytes, macs_module


class IciiaAdapter(Adapter):
    """Calibrates each prediction by attention over the client's bank.

    Args:
        module: The trained module, shared by all clients.
        capacity: N, the most images a client's bank may hold.
    """

    kind = "iciia"

    def __init__(self, module: ICIIA, capacity: int) -> None:
        self.module = module.eval()
        self.capacity: int = capacity

    def start(self, clients: int) -> FeatureBank:
        return self.module.empty_bank(clients, self.capacity)

    @torch.inference_mode()
    def predict(self, state: FeatureBank, chunk: Chunk) -> tuple[Tensor, FeatureBank]:
        logits, bank = self.module(chunk.features, chunk.logits, state)
        return logits, bank

    def cost(self) -> Cost:
        features, classes, layers, partitions = (
            self.module.settings[name] for name in ("features", "classes", "layers", "partitions")
        )
        macs = macs_module(features, layers, partitions, self.capacity)
        return Cost(
            macs_per_image=macs + features * classes,
            macs_module=macs,
            state_bytes=bank_bytes(features, layers, self.capacity),
            parameters=sum(p.numel() for p in self.module.parameters()),
        )
