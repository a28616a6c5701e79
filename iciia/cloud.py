"""Cloud training: a module is trained once, on simulated clients, and never again on a device."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from iciia.backbone import Progress
from iciia.features import FeatureStore
from iciia.model import ICIIA

Sampler = Callable[[np.random.Generator, int], NDArray[np.int64]]
"""Draws the streams of that many simulated clients: (rng, B) -> image numbers [B, T]."""

STEPS_AHEAD = 32
"""Optimizer steps whose sequences are drawn at once: streams are cheap by the hundred and dear one by one."""


@dataclass(frozen=True)
class TrainingHistory:
    """How a training went.

    Args:
        steps: Optimizer steps taken.
        best_step: The step whose weights were kept.
        validation_loss: Cross-entropy at each evaluation, nats.
        validation_accuracy: Accuracy at the best step, fraction.
        backbone_accuracy: The backbone's accuracy on the same validation streams, fraction.
    """

    steps: int
    best_step: int
    validation_loss: list[float]
    validation_accuracy: float
    backbone_accuracy: float


def train(
    module: ICIIA,
    store: FeatureStore,
    sample: Sampler,
    validate: Sampler,
    steps: int,
    batch: int,
    learning_rate: float,
    capacity: int,
    seed: int,
    evaluate_every: int = 100,
    validation_clients: int = 64,
    progress: Progress = lambda done, total: None,
) -> TrainingHistory:
    """Trains a stream-context module on sequences, every position of which is a target.

    One pass over a sequence of T images trains T targets with banks of every size, from empty to full.
    AdamW with a cosine schedule, gradient norm clipped at 5, cross-entropy over all positions; the weights of the best
    validation loss are kept.

    Args:
        module: Trained in place; in evaluation mode afterwards.
        store: Features and logits that both samplers number into.
        sample: Draws training sequences.
        validate: Draws validation sequences, once.
        steps: Optimizer steps.
        batch: Sequences in a step.
        learning_rate: Start of the cosine schedule.
        capacity: Bank capacity while training.
        seed: Sequences and dropout.
        evaluate_every: Steps between two validations.
        validation_clients: Sequences in the validation set.
        progress: Told how many steps are done.
    """
    device = next(module.parameters()).device
    rng = np.random.default_rng(seed)
    held_out = _load(store, validate(np.random.default_rng(seed), validation_clients), device)
    optimizer = torch.optim.AdamW(module.parameters(), lr=learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    best, best_step, best_loss, best_accuracy, losses = (
        copy.deepcopy(module.state_dict()),
        0,
        float("inf"),
        0.0,
        [],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for step in range(1, steps + 1):
            module.train()
            if (step - 1) % STEPS_AHEAD == 0:
                drawn = sample(rng, batch * STEPS_AHEAD)
            ahead = (step - 1) % STEPS_AHEAD * batch
            features, backbone_logits, labels = _load(store, drawn[ahead : ahead + batch], device)
            logits, _ = module(features, backbone_logits, module.empty_bank(batch, capacity))
            loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            if step % evaluate_every == 0 or step == steps:
                validation_loss, accuracy = _evaluate(module, held_out, capacity)
                losses.append(validation_loss)
                if validation_loss < best_loss:
                    best, best_step = copy.deepcopy(module.state_dict()), step
                    best_loss, best_accuracy = validation_loss, accuracy
            progress(step, steps)
    module.load_state_dict(best)
    module.eval()
    _, backbone_logits, labels = held_out
    backbone_accuracy = (backbone_logits.argmax(-1) == labels).float().mean().item()
    return TrainingHistory(steps, best_step, losses, best_accuracy, backbone_accuracy)


def _load(store: FeatureStore, images: NDArray[np.int64], device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    features, logits = store.gather(images)
    labels = torch.from_numpy(np.asarray(store.labels[images], dtype=np.int64))
    return features.to(device), logits.to(device), labels.to(device)


@torch.inference_mode()
def _evaluate(module: ICIIA, data: tuple[Tensor, Tensor, Tensor], capacity: int) -> tuple[float, float]:
    """Cross-entropy in nats and accuracy as a fraction, over all positions."""
    module.eval()
    features, backbone_logits, labels = data
    logits, _ = module(features, backbone_logits, module.empty_bank(len(features), capacity))
    loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten()).item()
    return loss, (logits.argmax(-1) == labels).float().mean().item()
