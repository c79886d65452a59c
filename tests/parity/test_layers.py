"""Every Keras layer that KeyDNN builds, with swept options, in both Kerases and from every source."""

from __future__ import annotations

import importlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from keydnn import from_keras
from keydnn.convert.build import BUILDERS
from keydnn.errors import KerasInteropError
from tests.parity import cases
from tests.parity.cases import COVERED, IMAGE, SEQUENCE, leaky
from tests.parity.kerases import SOURCES, Case, answer, assert_agrees, check, parameters, save

pytestmark = pytest.mark.parity

CASES: list[Case] = []
one, both_formats = partial(cases.one, CASES), partial(cases.both_formats, CASES)


# --- convolutions ----------------------------------------------------------------------------------------------------

WINDOWS_2D = {
    "1x1": {"kernel_size": 1},
    "valid": {"kernel_size": (3, 2)},
    "same": {"kernel_size": (3, 2), "padding": "same"},
    "valid-stride-2": {"kernel_size": 3, "strides": 2},
    "same-stride-2": {"kernel_size": 3, "strides": 2, "padding": "same"},
    "same-even-kernel": {"kernel_size": 4, "padding": "same"},
    "same-even-kernel-stride-2": {"kernel_size": 4, "strides": 2, "padding": "same"},
    "stride-above-kernel": {"kernel_size": 2, "strides": 3},
    "same-stride-above-kernel": {"kernel_size": 2, "strides": 3, "padding": "same"},
    "dilated": {"kernel_size": 3, "dilation_rate": 2},
    "same-dilated": {"kernel_size": (2, 3), "dilation_rate": 2, "padding": "same"},
}
UNEQUAL = {
    "strides-1-2": {"kernel_size": 3, "strides": (1, 2), "padding": "same"},
    "dilation-1-3": {"kernel_size": 2, "dilation_rate": (1, 3)},
}
# Keras 3.15 adds the bias of a channels_first layer along the *last* axis where that has as many cells as
# there are channels (test_keras_3_puts_a_channels_first_bias_on_the_wrong_axis): no output here is 10 or 12 wide.

for what, options in (WINDOWS_2D | UNEQUAL).items():
    both_formats(what, "Conv2D", IMAGE, filters=10, **options)
for groups in (2, 10):
    both_formats(f"groups-{groups}", "Conv2D", IMAGE, filters=20, kernel_size=3, groups=groups, padding="same")
both_formats("no-bias", "Conv2D", IMAGE, filters=10, kernel_size=3, use_bias=False)
both_formats("one-pixel", "Conv2D", (1, 1, 4), filters=10, kernel_size=3, padding="same")
both_formats("kernel-covers-image", "Conv2D", IMAGE, filters=10, kernel_size=(7, 9))
both_formats("free-sizes", "Conv2D", (None, None, 4), filters=10, kernel_size=3, strides=2, padding="same")

for what, options in WINDOWS_2D.items():
    if "stride" in what and "dilat" in what:
        continue
    both_formats(what, "DepthwiseConv2D", IMAGE, **options)
    both_formats(what, "SeparableConv2D", IMAGE, filters=10, **options)
both_formats("multiplier-3", "DepthwiseConv2D", IMAGE, kernel_size=3, depth_multiplier=3, padding="same")
both_formats("no-bias", "DepthwiseConv2D", IMAGE, kernel_size=3, depth_multiplier=2, use_bias=False)
both_formats("multiplier-3", "SeparableConv2D", IMAGE, filters=15, kernel_size=3, depth_multiplier=3, padding="same")
both_formats("no-bias", "SeparableConv2D", IMAGE, filters=15, kernel_size=3, use_bias=False)

for padding in ("valid", "same"):
    for size in (1, 2, 3, 4):
        for stride in (1, 2, 3):
            both_formats(
                f"{padding}-kernel-{size}-stride-{stride}", "Conv2DTranspose", (4, 5, 3),
                filters=2, kernel_size=size, strides=stride, padding=padding,
            )  # fmt: skip
    both_formats(
        f"{padding}-output-padding", "Conv2DTranspose", (4, 5, 3),
        filters=2, kernel_size=3, strides=(2, 3), padding=padding, output_padding=(1, 2),
    )  # fmt: skip
    both_formats(
        f"{padding}-output-padding-0", "Conv2DTranspose", (4, 5, 3),
        filters=2, kernel_size=3, strides=2, padding=padding, output_padding=0,
    )  # fmt: skip
    both_formats(
        f"{padding}-unequal", "Conv2DTranspose", (4, 5, 3),
        filters=2, kernel_size=(2, 5), strides=(3, 1), padding=padding,
    )  # fmt: skip
    both_formats(
        f"{padding}-dilated", "Conv2DTranspose", (4, 5, 3), filters=2, kernel_size=3, dilation_rate=2, padding=padding
    )
both_formats("no-bias", "Conv2DTranspose", (4, 5, 3), filters=2, kernel_size=3, use_bias=False)

for padding in ("valid", "same", "causal"):
    for what, options in {
        "kernel-3": {"kernel_size": 3},
        "kernel-4-stride-2": {"kernel_size": 4, "strides": 2},
        "stride-above-kernel": {"kernel_size": 2, "strides": 3},
        "dilated": {"kernel_size": 3, "dilation_rate": 2},
        "groups": {"kernel_size": 3, "groups": 2},
        "no-bias": {"kernel_size": 2, "use_bias": False},
    }.items():
        if padding == "causal":
            one(f"causal-{what}-last", "Conv1D", SEQUENCE, filters=12, padding="causal", **options)
        else:
            both_formats(f"{padding}-{what}", "Conv1D", SEQUENCE, filters=12, padding=padding, **options)
one("free-length", "Conv1D", (None, 4), filters=12, kernel_size=3, padding="causal")

# --- pooling ---------------------------------------------------------------------------------------------------------

POOLS = {
    "2": {"pool_size": 2},
    "3-same": {"pool_size": 3, "padding": "same"},
    "2-same-odd-size": {"pool_size": 2, "padding": "same"},
    "3-stride-1-same": {"pool_size": 3, "strides": 1, "padding": "same"},
    "2-stride-3": {"pool_size": 2, "strides": 3},
    "2-stride-3-same": {"pool_size": 2, "strides": 3, "padding": "same"},
    "3-stride-2": {"pool_size": 3, "strides": 2},
}
for kind in ("Max", "Average"):
    for what, options in POOLS.items():
        both_formats(what, f"{kind}Pooling2D", IMAGE, **options)
        both_formats(what, f"{kind}Pooling1D", SEQUENCE, **options)
    both_formats("unequal", f"{kind}Pooling2D", IMAGE, pool_size=(2, 3), strides=(1, 2), padding="same")
    for what, options in {"plain": {}, "keepdims": {"keepdims": True}}.items():
        both_formats(what, f"Global{kind}Pooling2D", IMAGE, **options)
        both_formats(what, f"Global{kind}Pooling1D", SEQUENCE, **options)

# --- shapes ----------------------------------------------------------------------------------------------------------

both_formats("rank-4", "Flatten", IMAGE)
both_formats("rank-3", "Flatten", SEQUENCE)
one("rank-2", "Flatten", (5,))
one("plain", "Reshape", (6, 4), target_shape=(3, 8))
one("minus-1", "Reshape", (6, 4), target_shape=(2, -1, 3))
one("only-minus-1", "Reshape", (2, 3, 4), target_shape=(-1,))
one("rank-3", "Permute", (6, 4), dims=(2, 1))
one("rank-4", "Permute", (2, 3, 4), dims=(3, 1, 2))
one("rank-4-to-channels-first", "Permute", (2, 3, 4), dims=(2, 3, 1))
for what, amount in {"1": 1, "1-2": (1, 2), "asymmetric": ((1, 2), (0, 3))}.items():
    both_formats(what, "ZeroPadding2D", IMAGE, padding=amount)
    both_formats(what, "Cropping2D", IMAGE, cropping=amount)
for what, options in {
    "nearest": {"size": 2},
    "nearest-3-2": {"size": (3, 2)},
    "bilinear": {"size": 2, "interpolation": "bilinear"},
    "bilinear-3-2": {"size": (3, 2), "interpolation": "bilinear"},
    "bilinear-1": {"size": 1, "interpolation": "bilinear"},
}.items():
    both_formats(what, "UpSampling2D", IMAGE, **options)

# --- fused activations -----------------------------------------------------------------------------------------------

FUSED = {
    "Conv1D": (SEQUENCE, {"filters": 12, "kernel_size": 3}),
    "Conv2D": (IMAGE, {"filters": 10, "kernel_size": 3}),
    "DepthwiseConv2D": (IMAGE, {"kernel_size": 3}),
    "SeparableConv2D": (IMAGE, {"filters": 10, "kernel_size": 3}),
    "Conv2DTranspose": ((4, 5, 3), {"filters": 2, "kernel_size": 3, "strides": 2}),
}
for class_name, (shape, options) in FUSED.items():
    for activation in ("relu", "softmax", "linear"):
        both_formats(f"fused-{activation}", class_name, shape, activation=activation, **options)
    both_formats("fused-object", class_name, shape, activation=leaky, **options)
for activation in ("tanh", "softmax"):
    one(f"fused-{activation}", "Dense", (3, 7), units=5, activation=activation)
one("fused-object", "Dense", (3, 7), units=5, activation=leaky)
one("fused-softmax-object", "Dense", (3, 7), units=5, activation=lambda library: library.layers.Softmax(axis=1))
one("fused-relu-object", "Dense", (3, 7), units=5, activation=lambda library: library.layers.ReLU(0.7))


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_layer_agrees(case, name, source):
    check(case, name, source)


def test_keras_3_puts_a_channels_first_bias_on_the_wrong_axis():
    """``keras.ops.add`` takes (1, C, 1, 1) for a bias of the last axis if that has C cells; KeyDNN does not follow."""
    first = Case("bias", ((4, 5, 3),), lambda library, x: library.layers.Conv2D(3, 1, data_format="channels_first")(x))
    last = Case("bias", ((5, 3, 4),), lambda library, x: library.layers.Conv2D(3, 1)(x))
    x = first.arrays()
    model = from_keras(first.model("keras3"), strict=False)
    wanted = answer(last.model("keras3"), np.moveaxis(x, 1, -1))
    assert_agrees(model, x, np.moveaxis(wanted, -1, 1), first.relative)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    "function",
    [
        pytest.param(lambda library, x: library.ops.median(x, 1), id="median"),
        pytest.param(lambda library, x: library.ops.diagonal(x, 0, 1, 2), id="diagonal"),
        pytest.param(lambda library, x: library.ops.quantile(x, 0.5, 1), id="quantile"),
    ],
)
def test_operations_of_keras_3_are_refused_by_name(function, source):
    model = Case("operation", ((3, 4),), function).model("keras3")
    with pytest.raises(KerasInteropError, match=r"^Unsupported Keras layer: ops>") as caught:
        from_keras(save(model, "operation")[source], strict=False)
    assert len(caught.value.obstacles) == 1


def test_every_builder_has_cases():
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        importlib.import_module(f"tests.parity.{path.stem}")
    built = {name for name, builder in BUILDERS.items() if not builder.gone}  # neither Keras has the others
    layers, covered = ({name for name in names if not name.startswith("ops>")} for names in (built, COVERED))
    assert layers == covered  # test_operations.py looks at the models for operations
    fused = {name for name, builder in BUILDERS.items() if builder.fused_activation}
    assert fused <= cases.FUSED
