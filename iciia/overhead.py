"""What ICIIA costs on a device, by formula: multiply-adds (MACs) of one image at a full bank, and bytes of a bank.

MACs count matrix products; normalisation, biases, softmax and residuals are left out, as the authors leave them out. n = N + 1 is
the bank and the target.

Source: Yan et al., arXiv 2211.06276; the convention is read from the authors' code.
"""

from dataclasses import dataclass, replace

import torch

from iciia.banks.bank import STEP_BYTES
from iciia.banks.predictions import prediction_bytes
from iciia.banks.storage import vector_bytes
from iciia.contexts.iciia import ICIIA, Context
from iciia.contexts.priors import ClientPriors
from iciia.policies import Policy


@dataclass(frozen=True)
class Cost:
    """What an adapter costs on the device.

    Args:
        macs_per_image: Multiply-adds of one image at a full bank, beyond the backbone's.
        macs_module: The same without any classifier.
        state_bytes: Bytes of state per client at a full bank; shared weights left out.
        parameters: Shared weights.
        macs_training: Multiply-adds of training on the device, once for each client.
    """

    macs_per_image: int = 0
    macs_module: int = 0
    state_bytes: int = 0
    parameters: int = 0
    macs_training: int = 0


def macs_stream(features: int, layers: int, partitions: int, capacity: int) -> int:
    """The stream context: 6 L D^2 / P + 2 L (N + 1) D. With D=1280, L=3, P=256, N=15: 238,080."""
    return 6 * layers * features**2 // partitions + 2 * layers * (capacity + 1) * features


def macs_set(features: int, layers: int, partitions: int, capacity: int) -> int:
    """The set context as computed here: the first layer projects the target alone, the last computes the target alone.

    With D=1280, L=3, P=256, N=15: 2,522,880. One layer is the stream context's.
    """
    if layers == 1:
        return macs_stream(features, 1, partitions, capacity)
    n, dense = capacity + 1, features**2 // partitions
    first = 3 * dense + 2 * n**2 * features + 3 * n * dense
    middle = 6 * n * dense + 2 * n**2 * features
    last = (2 * n + 4) * dense + 2 * n * features
    return first + (layers - 2) * middle + last


def macs_paper(features: int, layers: int, partitions: int, capacity: int) -> int:
    """The authors' convention: the whole set of n images, computed anew, scaling and softmax counted as 2 n^2.

    With D=1280, L=3, P=256, N=15: 3,810,816, 1.62 % of MobileNetV3-L's 234.8 M by their count.
    """
    n, dense = capacity + 1, features**2 // partitions
    return layers * (6 * n * dense + 2 * n**2 * features + 2 * n**2)


def macs_none(features: int, layers: int, partitions: int) -> int:
    """Without attention: two feed-forward projections a layer, 2 L D^2 / P."""
    return 2 * layers * features**2 // partitions


def macs_classifier(features: int, classes: int, head: str, shortlist: int | None) -> int:
    """What the head adds to the backbone: nothing if it replaces its classifier, else D for each corrected class."""
    return 0 if head == "replaced" else features * (shortlist or classes)


def macs_module(context: Context, features: int, layers: int, partitions: int, capacity: int) -> int:
    """Multiply-adds of one image without any classifier, as computed here."""
    if context == "none":
        return macs_none(features, layers, partitions)
    count = macs_stream if context == "stream" else macs_set
    return count(features, layers, partitions, capacity)


def bank_bytes(vectors: int, features: int, capacity: int, storage: torch.dtype = torch.float32) -> int:
    """Bytes of one client's full bank under fifo: G vectors an image, with their scales in int8, and its step of arrival.

    With a stream module of D=512, L=2 (G=4) and N=16: 16 * (4 * 512 * 4 + 4) = 131,136, and in int8
    16 * (4 * (512 + 4) + 4) = 33,088.
    """
    return capacity * (vectors * vector_bytes(features, storage) + STEP_BYTES)


def macs_priors(features: int, classes: int, superclasses: int, capacity: int, corrected: int, scales: int) -> int:
    """The priors context with its head: D for each corrected class; J N C for the sums of kept predictions at J time scales;
    2 E C for mixing E = J + 1 priors (one more with superclasses) and for weighing them; 2 C + 2 S for the filter over S
    superclasses.

    With D=1280, C=1000, S=85, N=16, 128 corrected and J=4: 242,010, 0.11 % of MobileNetV3-L's 216.6 M.
    """
    priors = scales + 1 + (superclasses > 0)
    belief = 2 * classes + 2 * superclasses if superclasses else 0
    return features * corrected + scales * capacity * classes + 2 * priors * classes + belief


def _cost_of_priors(module: ClientPriors, capacity: int, storage: torch.dtype) -> Cost:
    """Without a bank there is nothing to compute: the backbone's logits stay."""
    s, mixture = module.settings, module.mixture
    parameters = sum(p.numel() for p in module.parameters())
    if capacity == 0:
        return Cost(parameters=parameters)
    corrected = s["features"] * (s["shortlist"] or s["classes"])
    sizes = s["features"], s["classes"], s["superclasses"], capacity, s["shortlist"] or s["classes"]
    whole = corrected if s["attributes"] else macs_priors(*sizes, scales=len(mixture.log_scale))
    state_bytes = prediction_bytes(s["keep"], capacity, storage, s["superclasses"] + len(mixture.start))
    return Cost(whole, whole - corrected, state_bytes, parameters)


def cost_of(
    module: ICIIA | ClientPriors,
    capacity: int,
    storage: torch.dtype = torch.float32,
    policy: Policy | None = None,
) -> Cost:
    """The cost of a module with banks of the given capacity, storage and policy (None for the latest images)."""
    found = (
        _cost_of_priors(module, capacity, storage)
        if isinstance(module, ClientPriors)
        else _cost_of_attention(module, capacity, storage)
    )
    if policy is None:
        return found
    s = module.settings
    more = policy.macs(capacity, s["features"], s["classes"])
    kept = policy.state_bytes(capacity, s["features"], s["classes"]) - capacity * STEP_BYTES
    return replace(
        found,
        macs_per_image=found.macs_per_image + more,
        macs_module=found.macs_module + more,
        state_bytes=found.state_bytes + kept,
    )


def _cost_of_attention(module: ICIIA, capacity: int, storage: torch.dtype) -> Cost:
    """Of a module that keeps the backbone's logits where there is no bank, nothing."""
    s = module.settings
    if module.keeps_backbone(capacity):
        return Cost(parameters=sum(p.numel() for p in module.parameters()))
    inside = macs_module(s["context"], s["features"], s["layers"], s["partitions"], capacity)
    outside = macs_classifier(s["features"], s["classes"], s["head"], s["shortlist"])
    return Cost(
        macs_per_image=inside + outside,
        macs_module=inside,
        state_bytes=bank_bytes(module.bank_vectors, s["features"], capacity, storage),
        parameters=sum(p.numel() for p in module.parameters()),
    )
