"""Recurrent layers: the rules of their parts, step by step, so that errors are carried on with the state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.reference import activation, softmax
from keydnn.reference.bounds import F64, TINY, AnyArray, Bounded, Rules, exact, f64, gamma, selected
from keydnn.reference.merge import add, multiply


def _products(weights: Sequence[F64], values: Sequence[Bounded], biases: Sequence[F64]) -> Bounded:
    """Sum the products of all the pairs and the biases, in any order: one sum of so many terms."""
    rounded = gamma(sum(weight.shape[1] for weight in weights) + len(biases) + 1)
    value, error = f64(0), f64(TINY)
    for weight, x in zip(weights, values, strict=True):
        value = value + x.value @ weight.T
        error = error + (x.error + rounded * x.largest) @ np.abs(weight).T
    for bias in biases:
        value, error = value + bias, error + rounded * np.abs(bias)
    return Bounded(value, error)


def at(x: Bounded, *index: int | slice) -> Bounded:
    """Take a part."""
    return Bounded(x.value[index], x.error[index])


def where(condition: npt.NDArray[np.bool_], x: Bounded, y: Bounded) -> Bounded:
    """Take one or the other."""
    return Bounded(np.where(condition, x.value, y.value), np.where(condition, x.error, y.error))


def stacked(given: Sequence[Bounded], flat: bool) -> Bounded:
    """Put outputs and states behind each other on axis 1; ``flat``: the only one as it is."""
    if flat:
        return given[0]
    return Bounded(np.stack([item.value for item in given], axis=1), np.stack([item.error for item in given], axis=1))


def applied(function: Any, x: Bounded) -> Bounded:
    """Apply an activation module."""
    rules: Rules = {**activation.RULES, **softmax.RULES}
    return rules[type(function).__name__](function, x)


def _one_less(x: Bounded) -> Bounded:
    return add(None, exact(np.ones(1)), Bounded(-x.value, x.error))


class Cell:
    """One step of a layer: from x and the states to the new states."""

    def __init__(self, module: Any) -> None:
        self.module, self.size = module, module.hidden_size
        self.act, self.gate = module.functions
        self.mine, self.theirs = f64(module.weight_ih), f64(module.weight_hh)
        self.biases = [getattr(module, name, None) for name in ("bias_ih", "bias_hh")]

    def _rows(self, place: int) -> slice:
        return slice(place * self.size, (place + 1) * self.size)

    def _bias(self, which: int, place: int) -> list[F64]:
        bias = self.biases[which]
        return [] if bias is None else [f64(bias[self._rows(place)])]

    def _sum(self, place: int, x: Bounded, h: Bounded) -> Bounded:
        weights = [self.mine[self._rows(place)], self.theirs[self._rows(place)]]
        return _products(weights, [x, h], [*self._bias(0, place), *self._bias(1, place)])

    def __call__(self, x: Bounded, states: Sequence[Bounded]) -> tuple[Bounded, ...]:
        """Give the new states; the first is the output."""
        new: tuple[Bounded, ...] = getattr(self, type(self.module).__name__)(x, *states)
        return new

    def LSTM(self, x: Bounded, h: Bounded, c: Bounded) -> tuple[Bounded, ...]:
        """Give the output, which is a state, and the other state."""
        i, f, o = (applied(self.gate, self._sum(place, x, h)) for place in (0, 1, 3))
        g = applied(self.act, self._sum(2, x, h))
        c = add(None, multiply(None, f, c), multiply(None, i, g))
        return multiply(None, o, applied(self.act, c)), c

    def GRU(self, x: Bounded, h: Bounded) -> tuple[Bounded, ...]:
        """Give the state."""
        r, z = (applied(self.gate, self._sum(place, x, h)) for place in (0, 1))
        mine, theirs, biases = self.mine[self._rows(2)], self.theirs[self._rows(2)], self._bias(0, 2)
        if self.module.reset_after:
            product = multiply(None, r, _products([theirs], [h], self._bias(1, 2)))
            n = applied(self.act, add(None, _products([mine], [x], biases), product))
        else:
            n = applied(self.act, _products([mine, theirs], [x, multiply(None, r, h)], biases))
        return (add(None, multiply(None, z, h), multiply(None, _one_less(z), n)),)

    def SimpleRNN(self, x: Bounded, h: Bounded) -> tuple[Bounded, ...]:
        """Give the state."""
        return (applied(self.act, self._sum(0, x, h)),)


def recurrent(module: Any, x: Bounded, *others: Bounded) -> Bounded:
    """Run the steps; a masked one keeps the state and gives the output of the step before, or zeros."""
    batch, steps, _ = x.value.shape
    mask = others[0].value != 0 if module.has_mask else np.ones((batch, steps), bool)
    zeros = exact(np.zeros((batch, module.hidden_size)))
    states = list(others[module.has_mask :]) if module.has_state else [zeros] * module.state_count
    cell, output, outputs = Cell(module), zeros, []
    for t in range(steps)[:: -1 if module.go_backwards else 1]:
        active = mask[:, t, np.newaxis]
        new = cell(at(x, slice(None), t), states)
        output = where(active, new[0], zeros if module.zero_output_for_mask else output)
        states = [where(active, fresh, old) for fresh, old in zip(new, states, strict=True)]
        outputs.append(output)
    given = outputs if module.return_sequences else outputs[-1:]
    given = [*given, *(states if module.return_state else ())]
    return stacked(given, flat=not module.return_sequences and not module.return_state)


def steps(module: Any, x: AnyArray) -> AnyArray:
    if module.stop is None:
        return x[:, module.start]
    return x[:, module.start : None if module.stop == "end" else module.stop]


RULES: Rules = {"LSTM": recurrent, "GRU": recurrent, "SimpleRNN": recurrent, "Steps": selected(steps)}
