"""A mixture of class priors: what a client's past says of its next image, before the image is looked at.

Each prior is a guess at how a client's classes come about. None is right for all clients, so all are kept, and each is trusted as
far as it has lately predicted what came: Bayes' rule over priors, with a little trust flowing back at every step, so that one that
was wrong for long can be right at once (fixed share, Herbster and Warmuth 1998). Nothing in it knows one class from another, so
what is learned of it, a few dozen numbers, holds for classes that were seldom seen in training.

    L_t(c) = p_t(c) / pi(c)                               p_t calibrated, pi the source prior
    P_t    = sum_e v_e(t) q_e(t)                          q_e priors, v_e trust in them
    r_t    = normalise(P_t L_t)                           the prediction
    v_e(t + 1) = (1 - a) normalise(v_e(t) q_e(t).L_t) + a v_e(0)

The priors: pi itself, which gives the backbone's prediction; for each time scale s

    normalise(sum_i exp(-(age_i - 1) / s) r_i + b pi)

over the images remembered, the shortest of which is nearly the latest image alone and finds runs of one class; and where classes
are grouped, a hidden Markov filter over the groups. Each is mixed with a little of pi.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from iciia.contexts.recent import Recent, Unbounded

SCALES = (0.25, 4.0, 16.0, 64.0)
"""Time scales of the priors from what was met lately, images."""

STRENGTHS = (0.02, 1.0, 1.0, 1.0)
"""b, how many images' worth of the source prior is added to each."""

HAZARD = 0.01
"""How likely a client is to change its superclass from one image to the next."""

SHARE = 0.03
"""a, the trust that flows back at every step."""

FLOOR = 0.018
"""Share of the source prior in every other prior."""

SMALLEST = 1e-12


class PriorMixture(nn.Module):
    """The mixture, its numbers to be learned, and its start at numbers that do well without.

    Args:
        classes: C.
        superclasses: S; 0 if classes are not grouped.
        scales: Time scales, J of them.
    """

    head: Literal["residual"] = "residual"

    superclass: Tensor
    prior: Tensor

    def __init__(self, classes: int, superclasses: int = 0, scales: Sequence[float] = SCALES) -> None:
        super().__init__()
        self.superclasses = superclasses
        strengths = [STRENGTHS[0] if scale < 1 else STRENGTHS[1] for scale in scales]
        self.log_scale = nn.Parameter(torch.tensor([math.log(scale) for scale in scales]))
        self.log_strength = nn.Parameter(torch.tensor([math.log(strength) for strength in strengths]))
        self.start = nn.Parameter(torch.zeros(1 + len(scales) + (superclasses > 0)))
        self.share = nn.Parameter(torch.tensor(_logit(SHARE)))
        self.floor = nn.Parameter(torch.tensor(_logit(FLOOR)))
        self.log_sharpness = nn.Parameter(torch.zeros(()))
        self.hazard = nn.Parameter(torch.tensor(_logit(HAZARD))) if superclasses else None
        self.register_buffer("prior", torch.full((classes,), 1 / classes))
        self.register_buffer("superclass", torch.zeros(classes, dtype=torch.int64))

    @property
    def scales(self) -> Tensor:
        """Time scales, [J]."""
        return self.log_scale.exp()

    def belief(self) -> Tensor:
        """What is thought of the superclass of a client that has seen nothing, [S]."""
        return self.prior.new_full((self.superclasses,), 1 / max(1, self.superclasses))

    def trust(self) -> Tensor:
        """What is thought of the priors then, [E]."""
        return torch.softmax(self.start, 0)

    def forward_sequences(self, features: Tensor, logits: Tensor) -> Tensor:
        """Predicts every image of whole sequences of clients that remember everything: one pass trains T targets.

        Args:
            features: Not looked at.
            logits: Calibrated logits, [B, T, C].

        Returns:
            Logits [B, T, C].
        """
        clients, _, classes = logits.shape
        past = Unbounded(clients, classes, self.scales)
        return self(logits, past, self.belief().expand(clients, -1), self.trust().expand(clients, -1))[0]

    def forward(self, logits: Tensor, past: Recent, belief: Tensor, trust: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Predicts a chunk of every client's stream, image by image.

        Args:
            logits: Calibrated logits, [B, T, C].
            past: Earlier predictions; takes those of the chunk.
            belief: [B, S].
            trust: [B, E].

        Returns:
            Logits [B, T, C], and belief and trust after the chunk.
        """
        log_ratio = torch.log_softmax(logits * self.log_sharpness.exp(), -1) - self.prior.log()
        likelihood = torch.exp(log_ratio - log_ratio.amax(-1, keepdim=True))
        at_start, share = self.trust(), torch.sigmoid(self.share)
        found = []
        for step, of_image in enumerate(likelihood.unbind(1)):
            if self.hazard is not None:
                belief = self._drifted(belief)
            priors = self._priors(past.sums(step), belief)  # [B, E, C]
            expected = (trust.unsqueeze(1) @ priors).squeeze(1)
            found.append(expected)
            joint = expected * of_image
            past.remember(joint / joint.sum(-1, keepdim=True))
            right = trust * (priors @ of_image.unsqueeze(-1)).squeeze(-1)
            trust = (1 - share) * right / right.sum(-1, keepdim=True) + share * at_start
            if self.hazard is not None:
                belief = self._updated(belief, of_image)
        return torch.stack(found, 1).log() + log_ratio, belief, trust

    def _priors(self, sums: Tensor, belief: Tensor) -> Tensor:
        lately = sums + self.log_strength.exp().unsqueeze(1) * self.prior
        parts = [lately / lately.sum(-1, keepdim=True)]
        if self.superclasses:
            of_group = (belief / self._sizes())[:, self.superclass] * self.prior
            parts.append((of_group / of_group.sum(-1, keepdim=True)).unsqueeze(1))
        floor = torch.sigmoid(self.floor)
        guessed = (1 - floor) * torch.cat(parts, 1) + floor * self.prior
        return torch.cat([self.prior.expand(len(sums), 1, -1), guessed], 1)

    def _sizes(self) -> Tensor:
        """The source prior of each superclass, [S]; above zero also where no class is in one."""
        sizes = self.prior.new_zeros(self.superclasses).index_add_(0, self.superclass, self.prior)
        return sizes.clamp_min(SMALLEST)

    def _drifted(self, belief: Tensor) -> Tensor:
        """What is thought of the superclass before an image, which may be the first of a new one."""
        assert self.hazard is not None
        hazard = torch.sigmoid(self.hazard)
        return (1 - hazard) * belief + hazard / self.superclasses

    def _updated(self, belief: Tensor, of_image: Tensor) -> Tensor:
        """What is thought of it after the image."""
        of_group = belief.new_zeros(belief.shape).index_add_(1, self.superclass, of_image * self.prior)
        after = belief * of_group / self._sizes() + SMALLEST
        return after / after.sum(-1, keepdim=True)


def _logit(share: float) -> float:
    return math.log(share / (1 - share))
