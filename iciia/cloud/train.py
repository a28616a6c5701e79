"""Cloud training: a module is trained once, on simulated clients, and never again on a device."""

import contextlib
import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from iciia.cloud.backbone import Progress
from iciia.cloud.features import FeatureStore
from iciia.cloud.labels import accuracy_of, loss_of, losses_of
from iciia.contexts.arm_cml import ArmCml
from iciia.contexts.iciia import ICIIA
from iciia.contexts.icrm import Icrm
from iciia.contexts.mixture import PriorMixture

Sampler = Callable[[np.random.Generator, int], NDArray[np.int64]]
"""Draws the images of that many simulated clients: (rng, B) -> image numbers [B, T]."""

Trained = Icrm | ArmCml | ICIIA | PriorMixture
"""Whatever learns of sequences; of the priors context the mixture."""

BLOCK = 32
"""Optimizer steps whose clients are drawn at once: streams are cheap by the hundred and dear one by one. A block is also what
seeds are given to, so that training can be taken up again at its start."""


@dataclass(frozen=True)
class Recipe:
    """How a module is trained.

    Args:
        kind: `stream`: sequences, every position of which is a target with what came before it as its bank, from empty to
            full; AdamW, cosine schedule. `paper`: sets of images of one client, all to all; SGD with a constant learning rate.
            Both clip the gradient's norm at 5.
        steps: Most optimizer steps.
        batch: Sequences or sets in a step. The paper's is one set.
        learning_rate: Start of the schedule.
        evaluate_every: Steps between two validations.
        patience: Validations without weights to keep after which training stops; None goes on to the end.
        selection: Which weights are kept. `best`: those of the best validation loss, which may be the first.
            `one_standard_error`: likewise, but a residual head, which starts as the backbone, stays so unless it saves more
            than one standard error of its loss, over the distinct validation images (Breiman et al., 1984).
    """

    kind: Literal["stream", "paper"]
    steps: int
    batch: int
    learning_rate: float
    evaluate_every: int = 4 * BLOCK
    patience: int | None = None
    selection: Literal["one_standard_error", "best"] = "one_standard_error"


@dataclass
class TrainingHistory:
    """How a training went.

    Args:
        steps: Optimizer steps taken.
        best_step: The step whose weights were kept; 0 for those before training.
        best_loss: Their validation loss.
        gain: The backbone's validation loss less theirs, mean over distinct images, nats.
        gain_error: Its standard error over the images.
        validation_loss: Loss at each validation, the first before training, nats.
        validation_accuracy: Accuracy at the best step, fraction.
        backbone_accuracy: The backbone's accuracy on the same validation clients, fraction.
        head_penalty: Of a head that was refitted before, its ridge penalty times C; None if there is none, or none was let in.
        head_gain: What that head alone saves of the backbone's calibrated loss, mean over validation images, nats.
        head_gain_error: Its standard error.
    """

    steps: int = 0
    best_step: int = 0
    best_loss: float = math.inf
    gain: float = 0.0
    gain_error: float = 0.0
    validation_loss: list[float] = field(default_factory=list)
    validation_accuracy: float = 0.0
    backbone_accuracy: float = 0.0
    head_penalty: float | None = None
    head_gain: float = 0.0
    head_gain_error: float = 0.0


def train(
    module: Trained,
    store: FeatureStore,
    sample: Sampler,
    validate: Sampler,
    recipe: Recipe,
    seed: int,
    validation_clients: int = 64,
    checkpoint: Path | None = None,
    progress: Progress = lambda done, total: None,
) -> TrainingHistory:
    """Trains a module on simulated clients.

    Classes are trained by cross-entropy, attributes by binary cross-entropy; see `iciia.cloud.labels`.

    Args:
        module: Trained in place; in evaluation mode afterwards.
        store: Features, logits and labels that both samplers number into.
        sample: Draws training clients.
        validate: Draws validation clients, once.
        recipe: How.
        seed: Clients and dropout.
        validation_clients: Clients in the validation set.
        checkpoint: A file that training is taken up from if it exists, and that it keeps up to date; deleted at the end. A
            training that was killed and taken up again gives the same weights.
        progress: Told how many steps are done.
    """
    device = next(module.parameters()).device
    numbers = validate(np.random.default_rng(seed), validation_clients)
    held_out = HeldOut(_load(store, numbers, device), np.unique(numbers, return_inverse=True)[1].reshape(-1))
    if recipe.kind == "stream":
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(
            module.parameters(), lr=recipe.learning_rate, weight_decay=0.01
        )
    else:
        optimizer = torch.optim.SGD(module.parameters(), lr=recipe.learning_rate)
    start, final = recipe.learning_rate, 0.0 if recipe.kind == "stream" else recipe.learning_rate
    history = TrainingHistory(backbone_accuracy=accuracy_of(*held_out.clients[1:]))
    best = copy.deepcopy(module.state_dict())
    if checkpoint is not None and checkpoint.is_file():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        module.load_state_dict(saved["module"])
        optimizer.load_state_dict(saved["optimizer"])
        best, history = saved["best"], TrainingHistory(**saved["history"])
    if isinstance(module, PriorMixture):
        held_out = held_out.against(module)
    if history.steps == 0:  # the start counts too
        _evaluate(module, recipe, held_out, history)
    with torch.random.fork_rng(devices=[]):
        while history.steps < recipe.steps and not _out_of_patience(history, recipe):
            block = history.steps // BLOCK
            drawn = sample(np.random.default_rng([seed, block]), recipe.batch * BLOCK)
            torch.manual_seed(seed + block)
            module.train()
            for number in range(min(BLOCK, recipe.steps - history.steps)):
                turn = 0.5 * (1 + math.cos(math.pi * history.steps / recipe.steps))
                optimizer.param_groups[0]["lr"] = final + (start - final) * turn
                part = drawn[number * recipe.batch : (number + 1) * recipe.batch]
                features, backbone_logits, labels = _load(store, part, device)
                with _mixed_precision(device):
                    loss = loss_of(_predict(module, recipe, features, backbone_logits), labels)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                torch.nn.utils.clip_grad_norm_(module.parameters(), 5.0)
                optimizer.step()
                history.steps += 1
                progress(history.steps, recipe.steps)
            if history.steps % recipe.evaluate_every == 0 or history.steps == recipe.steps:
                if _evaluate(module, recipe, held_out, history):
                    best = copy.deepcopy(module.state_dict())
                if checkpoint is not None:
                    _save(checkpoint, module, optimizer, best, history)
    module.load_state_dict(best)
    module.eval()
    progress(recipe.steps, recipe.steps)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return history


Clients = tuple[Tensor, Tensor, Tensor]
"""Features [B, T, D], backbone logits [B, T, C] and labels, [B, T] or [B, T, C]."""


def _predict(module: Trained, recipe: Recipe, features: Tensor, backbone_logits: Tensor) -> Tensor:
    if recipe.kind == "stream":
        return module.forward_sequences(features, backbone_logits)
    if not isinstance(module, ICIIA):
        raise ValueError("only ICIIA is trained on sets")
    return module.forward_sets(features, backbone_logits)


@dataclass(frozen=True)
class HeldOut:
    """Validation clients, which of the distinct images each of their B x T images is, and logits, [B, T, C], that gains are over;
    None for the backbone's."""

    clients: Clients
    images: NDArray[np.int64]
    start: Tensor | None = None

    @torch.inference_mode()
    def against(self, module: PriorMixture) -> "HeldOut":
        """The same, with gains over what a mixture predicts before it is trained."""
        return replace(self, start=module.forward_sequences(*self.clients[:2]))

    def gain(self, logits: Tensor) -> tuple[float, float]:
        """What logits save of the backbone's loss, or the start's: the mean over distinct images and its standard error, nats.

        Clients meet the same images again and again, so that it is the images that are independent.
        """
        _, backbone_logits, labels = self.clients
        saved = losses_of(backbone_logits if self.start is None else self.start, labels) - losses_of(logits, labels)
        times = np.bincount(self.images)
        gains = np.bincount(self.images, saved.flatten().double().cpu().numpy()) / times
        return float(gains.mean()), float(gains.std() / math.sqrt(max(len(gains) - 1, 1)))


@torch.inference_mode()
def _evaluate(module: Trained, recipe: Recipe, held_out: HeldOut, history: TrainingHistory) -> bool:
    """Notes the validation loss; whether these weights are the ones to keep so far."""
    module.eval()
    features, backbone_logits, labels = held_out.clients
    logits = _predict(module, recipe, features, backbone_logits)
    loss = loss_of(logits, labels).item()
    history.validation_loss.append(loss)
    if loss >= history.best_loss:
        return False
    gain, error = held_out.gain(logits)
    cautious = recipe.selection == "one_standard_error" and module.head == "residual" and history.steps > 0
    if cautious and gain <= error:
        return False
    history.best_loss, history.best_step, history.gain, history.gain_error = loss, history.steps, gain, error
    history.validation_accuracy = accuracy_of(logits, labels)
    return True


def _out_of_patience(history: TrainingHistory, recipe: Recipe) -> bool:
    since = (history.steps - history.best_step) // recipe.evaluate_every
    return recipe.patience is not None and bool(history.validation_loss) and since >= recipe.patience


def _load(store: FeatureStore, images: NDArray[np.int64], device: torch.device) -> Clients:
    features, logits = store.gather(images)
    labels = torch.from_numpy(np.array(store.labels[images]))
    return features.to(device), logits.to(device), labels.to(device)


def _mixed_precision(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """bfloat16 products on a GPU, float32 on a CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def _save(
    path: Path, module: Trained, optimizer: torch.optim.Optimizer, best: dict[str, Tensor], history: TrainingHistory
) -> None:
    """Writes a checkpoint so that it is there completely or not at all."""
    temporary = path.with_suffix(".tmp")
    content = {
        "module": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "best": best,
        "history": asdict(history),
    }
    torch.save(content, temporary)
    temporary.replace(path)
