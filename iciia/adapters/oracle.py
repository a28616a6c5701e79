"""The oracle: the backbone, told which classes its client can meet now. A reference, not a bound."""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.base import Adapter, Chunk
from iciia.overhead import Cost


class OracleAdapter(Adapter):
    """The backbone's best class among those of nonzero probability under the true prior."""

    kind = "oracle"
    sees = "prior"

    def start(self, clients: NDArray[np.int64], seed: int) -> None:
        return None

    def predict(self, state: None, chunk: Chunk) -> tuple[Tensor, None]:
        if chunk.prior is None:
            raise ValueError("the oracle needs the true class prior, and the chunk has none")
        return chunk.logits.masked_fill(chunk.prior <= 0, float("-inf")), None

    def cost(self) -> Cost:
        return Cost()
