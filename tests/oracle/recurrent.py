"""Recurrent layers: the rules of their parts, step by step, so that errors are carried on with the state."""

from __future__ import annotations

import numpy as np

from tests import naive
from tests.oracle import activation, softmax
from tests.oracle.bounds import TINY, Bounded, exact, gamma, selected
from tests.oracle.merge import add, multiply


def _products(weights, values, biases):
    """Sum the products of all the pairs and the biases, in any order: one sum of so many terms."""
    count = sum(weight.shape[1] for weight in weights) + len(biases)
    value = error = size = 0.0
    for weight, x in zip(weights, values, strict=True):
        weight = naive.f64(weight)
        value = value + x.value @ weight.T
        error = error + x.error @ np.abs(weight).T
        size = size + x.largest @ np.abs(weight).T
    for bias in biases:
        value, size = value + naive.f64(bias), size + np.abs(naive.f64(bias))
    return Bounded(value, error + gamma(count + 1) * size + TINY)


def at(x, *index):
    """Take a part."""
    return Bounded(x.value[index], x.error[index])


def where(condition, x, y):
    """Take one or the other."""
    return Bounded(np.where(condition, x.value, y.value), np.where(condition, x.error, y.error))


def applied(function, x):
    """Apply an activation module."""
    return {**activation.RULES, **softmax.RULES}[type(function).__name__](function, x)


def _one_less(x):
    return add(None, exact(np.ones(1)), Bounded(-x.value, x.error))


class Cell:
    """One step of a layer: from x and the states to the new states."""

    def __init__(self, module):
        self.module, self.size = module, module.hidden_size
        self.act, self.gate = module.functions

    def _weights(self, place):
        rows = slice(place * self.size, (place + 1) * self.size)
        return self.module.weight_ih[rows], self.module.weight_hh[rows], rows

    def _sum(self, place, x, h):
        mine, theirs, rows = self._weights(place)
        biases = [
            bias[rows] for bias in (self.module.bias_ih, getattr(self.module, "bias_hh", None)) if bias is not None
        ]
        return _products([mine, theirs], [x, h], biases)

    def __call__(self, x, states):
        return getattr(self, type(self.module).__name__)(x, *states)

    def LSTM(self, x, h, c):
        i, f, o = (applied(self.gate, self._sum(place, x, h)) for place in (0, 1, 3))
        g = applied(self.act, self._sum(2, x, h))
        c = add(None, multiply(None, f, c), multiply(None, i, g))
        return multiply(None, o, applied(self.act, c)), c

    def GRU(self, x, h):
        r, z = (applied(self.gate, self._sum(place, x, h)) for place in (0, 1))
        mine, theirs, rows = self._weights(2)
        biases = [] if self.module.bias_ih is None else [self.module.bias_ih[rows]]
        if self.module.reset_after:
            after = [] if self.module.bias_hh is None else [self.module.bias_hh[rows]]
            product = multiply(None, r, _products([theirs], [h], after))
            n = applied(self.act, add(None, _products([mine], [x], biases), product))
        else:
            n = applied(self.act, _products([mine, theirs], [x, multiply(None, r, h)], biases))
        return (add(None, multiply(None, z, h), multiply(None, _one_less(z), n)),)

    def SimpleRNN(self, x, h):
        return (applied(self.act, self._sum(0, x, h)),)


def recurrent(module, x, *others):
    """Run the steps; a masked one keeps the state and gives the output of the step before, or zeros."""
    batch, steps, _ = x.value.shape
    others = list(others)
    mask = others.pop(0).value != 0 if module.has_mask else np.ones((batch, steps), bool)
    zeros = exact(np.zeros((batch, module.hidden_size)))
    states = others if module.has_state else [zeros] * module.state_count
    cell, output, outputs = Cell(module), zeros, []
    for t in range(steps)[:: -1 if module.go_backwards else 1]:
        active = mask[:, t, np.newaxis]
        new = cell(at(x, slice(None), t), states)
        output = where(active, new[0], zeros if module.zero_output_for_mask else output)
        states = [where(active, fresh, old) for fresh, old in zip(new, states, strict=True)]
        outputs.append(output)
    given = outputs if module.return_sequences else outputs[-1:]
    given = [*given, *(states if module.return_state else ())]
    value, error = (np.stack([getattr(item, name) for item in given], axis=1) for name in ("value", "error"))
    flat = not module.return_sequences and not module.return_state
    return Bounded(value[:, 0], error[:, 0]) if flat else Bounded(value, error)


def steps(module, x):
    if module.stop is None:
        return x[:, module.start]
    return x[:, module.start : None if module.stop == "end" else module.stop]


RULES = {"LSTM": recurrent, "GRU": recurrent, "SimpleRNN": recurrent, "Steps": selected(steps)}
