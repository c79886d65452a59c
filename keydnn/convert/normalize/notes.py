"""What a conversion takes down on its way: rewrites made, and obstacles found."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from keydnn.errors import Obstacle


@dataclass(frozen=True)
class Rewrite:
    """A lossless change to the model's form, and the layer it concerns.

    ``stated`` marks what the user has said a layer to be, which nothing in the file can confirm.
    """

    layer: str
    class_name: str
    what: str
    stated: bool = False


@dataclass(frozen=True)
class Options:
    """Which rewrites the caller allows, and what he says that Lambdas stand for (see :func:`keydnn.from_keras`)."""

    allow_non_linear_activation: bool = False
    channels_last: bool = False
    lambdas: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Notes:
    """The notebook of one conversion.

    Attributes
    ----------
    options
        What is allowed.
    fused
        Keras classes with an ``activation`` that is applied last, and so can be unfused.
    stepwise
        Keras classes that do to a sequence what they do to each of its steps.
    rewrites, obstacles
        In the order found; without repetition.
    """

    options: Options
    fused: Collection[str] = ()
    stepwise: Collection[str] = ()
    rewrites: list[Rewrite] = field(default_factory=list)
    obstacles: list[Obstacle] = field(default_factory=list)

    def rewrite(self, layer: str, class_name: str, what: str, *, stated: bool = False) -> None:
        """Take down a rewrite."""
        entry = Rewrite(layer, class_name, what, stated)
        if entry not in self.rewrites:
            self.rewrites.append(entry)

    def obstacle(self, layer: str, class_name: str, message: str, found: str, switch: str | None = None) -> None:
        """Take down an obstacle."""
        entry = Obstacle(layer, class_name, message, found, switch)
        if entry not in self.obstacles:
            self.obstacles.append(entry)
