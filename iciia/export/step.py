"""What every exported step is: tensors in, logits and the states after the image out."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Named:
    """A tensor of a step's signature, of a fixed shape.

    Args:
        name: What it is called.
        value: What it is before a client's first image if it is a state; an example if it is an input.
        axes: What its axes count.
    """

    name: str
    value: Tensor
    axes: tuple[str, ...] = ()


class Step(nn.Module, ABC):
    """One image of one client, as a function of tensors alone.

    Args:
        inputs: What it reads of the image.
        states: What it reads of the client's past and gives back after the image; the caller keeps it.
    """

    def __init__(self, inputs: tuple[Named, ...], states: tuple[Named, ...]) -> None:
        super().__init__()
        self.inputs = inputs
        self.states = states

    @property
    def arguments(self) -> tuple[Tensor, ...]:
        """Arguments of `forward` for a client that has seen nothing."""
        return tuple(one.value for one in (*self.inputs, *self.states))

    @property
    def input_names(self) -> list[str]:
        """Names of what goes in, in order: a state is `NAME_in`."""
        return [one.name for one in self.inputs] + [f"{one.name}_in" for one in self.states]

    @property
    def output_names(self) -> list[str]:
        """Names of what comes out, in order: a state is `NAME_out`."""
        return ["logits"] + [f"{one.name}_out" for one in self.states]

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Logits [C], and the states after the image, of inputs and states in their order."""
        read = (*self.inputs, *self.states)
        logits, after = self.advance({one.name: tensor for one, tensor in zip(read, tensors, strict=True)})
        return logits, *(after[one.name] for one in self.states)

    @abstractmethod
    def advance(self, read: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Logits [C], and the states after the image, by name, of inputs and states by name."""


def of_backbone(features: int, classes: int) -> tuple[Named, Named]:
    """What a module reads: the feature, [D], and the backbone's logits, [C]."""
    return Named("feature", torch.zeros(features), ("feature",)), logits_of_backbone(classes)


def logits_of_backbone(classes: int) -> Named:
    """The backbone's logits, [C]."""
    return Named("backbone_logits", torch.zeros(classes), ("class",))
