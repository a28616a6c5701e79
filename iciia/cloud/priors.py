"""Cloud training of the priors context: its head by folds over images, then the mixture's numbers on simulated clients.

What is learned comes in part by part, each only if validation images show a gain of more than one standard error over the start
without it, so that with few images the worst case is the start: the best that is known without learning.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from iciia.adapters.source import source_prior
from iciia.cloud.backbone import Progress
from iciia.cloud.calibration import fit_temperature
from iciia.cloud.features import ArrayStore, FeatureStore
from iciia.cloud.labels import losses_of
from iciia.cloud.refit import fit
from iciia.cloud.train import Recipe, Sampler, TrainingHistory, train
from iciia.contexts.priors import ClientPriors

PENALTIES = (128.0, 32.0, 8.0, 2.0, 0.5)
"""Ridge penalties of the head times C, tried from the strongest on for as long as validation images say so."""

FOLDS = 5
"""Parts of the module's images; each is predicted by a head that has not seen it."""


@dataclass(frozen=True)
class Parts:
    """Which images of a store are for what, int64 [*] each."""

    module: NDArray[np.int64]
    calibration: NDArray[np.int64]
    validation: NDArray[np.int64]


@dataclass(frozen=True)
class Head:
    """A head as validation chose it; penalty None is none at all."""

    weight: Tensor
    bias: Tensor
    penalty: float | None
    gain: float
    gain_error: float


def train_priors(
    module: ClientPriors,
    store: FeatureStore,
    parts: Parts,
    superclass: NDArray[np.int64] | None,
    samplers: tuple[Sampler, Sampler] | None,
    recipe: Recipe,
    seed: int,
    progress: Progress = lambda done, total: None,
) -> TrainingHistory:
    """Trains a module of the priors context.

    Args:
        module: Trained in place; in evaluation mode afterwards.
        store: Features, logits and labels.
        parts: Its images.
        superclass: Superclass of each class, int64 [C]; None if classes are not grouped.
        samplers: Draw clients of the module's and of the validation images; None if images have attributes, of which there is no
            mixture.
        recipe: How the mixture is trained.
        seed: Folds, order of images, clients.
        progress: Told how much is done.
    """
    labels = np.asarray(store.labels)
    unseen = np.concatenate([parts.module, parts.calibration])  # by the backbone
    _, logits = store.gather(unseen)
    module.scale.fill_(1 / fit_temperature(logits.numpy(), labels[unseen]))
    groups = None if superclass is None else torch.from_numpy(superclass)
    head = _choose_head(module, store, parts, groups, seed)
    if samplers is None:
        _put(module, head.weight, head.bias)
        module.eval()
        return TrainingHistory(gain=head.gain, gain_error=head.gain_error, head_penalty=head.penalty)
    module.mixture.prior.copy_(torch.from_numpy(source_prior(labels[parts.module], logits.shape[1])))
    if groups is not None:
        module.mixture.superclass.copy_(groups)
    corrected = _out_of_fold(module, store, parts, groups, head, seed)
    as_one_image_says = ArrayStore(np.zeros((len(labels), 0), np.float32), corrected, labels)
    history = train(module.mixture, as_one_image_says, *samplers, recipe, seed, progress=progress)
    history.head_penalty, history.head_gain, history.head_gain_error = head.penalty, head.gain, head.gain_error
    module.eval()
    return history


def _choose_head(module: ClientPriors, store: FeatureStore, parts: Parts, groups: Tensor | None, seed: int) -> Head:
    """The head of the best validation loss, if it gains more than one standard error over the images; else none."""
    features, logits, labels = _inputs(module, store, parts.validation)
    start = losses_of(logits, labels)
    classes, width = logits.shape[1], features.shape[1]
    best = Head(torch.zeros(classes, width), torch.zeros(classes), None, 0.0, 0.0)
    seen = _inputs(module, store, parts.module)
    for penalty in PENALTIES:
        weight, bias = fit(*seen, groups, penalty / classes, seed)
        _put(module, weight, bias)
        saved = (start - losses_of(_corrected(module, features, logits), labels)).double()
        gain, error = saved.mean().item(), saved.std().item() / math.sqrt(len(saved))
        if gain <= best.gain:
            break
        if gain > error:
            best = Head(weight, bias, penalty, gain, error)
    return best


def _out_of_fold(
    module: ClientPriors, store: FeatureStore, parts: Parts, groups: Tensor | None, head: Head, seed: int
) -> NDArray[np.float32]:
    """Corrected and again calibrated logits of the module's and of the validation images, [M, C], those of the module's own by
    heads that have not seen them. The head itself is left in the module, calibrated."""
    count = len(store.labels)
    corrected = np.zeros((count, store.classes), np.float32)
    fold = np.random.default_rng(seed).permutation(len(parts.module)) % FOLDS
    for number in range(FOLDS):
        others, these = parts.module[fold != number], parts.module[fold == number]
        if head.penalty is not None and len(others):
            _put(module, *fit(*_inputs(module, store, others), groups, head.penalty / store.classes, seed))
        features, logits, _ = _inputs(module, store, these)
        corrected[these] = _corrected(module, features, logits).numpy()
    labels = np.asarray(store.labels)
    corrected[parts.module] /= fit_temperature(corrected[parts.module], labels[parts.module])
    _put(module, head.weight, head.bias)
    features, logits, _ = _inputs(module, store, parts.validation)
    found = _corrected(module, features, logits).numpy()
    temperature = fit_temperature(found, labels[parts.validation])
    corrected[parts.validation] = found / temperature
    module.scale /= temperature
    _put(module, head.weight / temperature, head.bias / temperature)
    return corrected


def _inputs(module: ClientPriors, store: FeatureStore, images: NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor]:
    """What a head is fitted to: unit-length features times sqrt(D), calibrated logits, labels."""
    features, logits = store.gather(images)
    labels = torch.from_numpy(np.array(store.labels[images]))
    return F.normalize(features, dim=-1) * features.shape[-1] ** 0.5, logits * module.scale, labels


@torch.inference_mode()
def _corrected(module: ClientPriors, features: Tensor, logits: Tensor) -> Tensor:
    """Calibrated logits with the module's correction."""
    return module.correct(features.unsqueeze(0), logits.unsqueeze(0))[0]


def _put(module: ClientPriors, weight: Tensor, bias: Tensor) -> None:
    module.refit.weight.data.copy_(weight)
    module.refit.bias.data.copy_(bias)
