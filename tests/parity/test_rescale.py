"""Rescaling in both Kerases and from every source."""

from __future__ import annotations

import importlib
from functools import partial

import numpy as np
import pytest

from tests.parity import cases
from tests.parity.cases import IMAGE
from tests.parity.kerases import Case, adding_to, check, parameters

pytestmark = pytest.mark.parity

CASES: list[Case] = []
one = partial(cases.one, CASES)

one("both", "Rescaling", IMAGE, scale=1 / 127.5, offset=-1.0)
one("scale", "Rescaling", (None, None, 3), scale=2)
one("rank-2", "Rescaling", (5,), scale=0.1, offset=0.3)
for what, options in {
    "lists": {"scale": [1.0, -2, 0.3], "offset": [0.1, 0.2, 3]},
    "list-and-number": {"scale": [1.0, -2, 0.3], "offset": 0.7},
    "number-and-list": {"scale": 0.7, "offset": [1.0, -2, 0.3]},
    "array": {"scale": np.array([1.0, -2, 0.3]), "offset": np.float32(0.7)},
    "array-of-rank-2": {"scale": np.linspace(-1, 1, 12).reshape(4, 3)},
}.items():
    one(what, "Rescaling", (2, 4, 3), **options)


def application(library, file, class_name, **options):
    """Make a layer that one of ``keras.applications`` has for itself."""
    return getattr(importlib.import_module(f"{library.__name__}.src.applications.{file}"), class_name)(**options)


cases.COVERED.update(("LayerScale", "StochasticDepth", "CustomScaleLayer", "Custom>CustomScaleLayer"))
case = adding_to(CASES)


@case((4, 3, 5))
def layer_scale_of_convnext(library, x):
    return application(library, "convnext", "LayerScale", init_values=0.1, projection_dim=5)(x)


@case((4, 3, 5))
def stochastic_depth_of_convnext(library, x):
    return library.layers.Add()([x, application(library, "convnext", "StochasticDepth", drop_path_rate=0.3)(x)])


@case((4, 3, 5), (4, 3, 5))
def scaled_branch_of_inception_resnet(library, x, y):
    return application(library, "inception_resnet_v2", "CustomScaleLayer", scale=0.17)([x, y])


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_rescaling_agrees(case, name, source):
    check(case, name, source)
