"""What the default, ``strict=True``, refuses of real Keras models, in the documented words, and what allows it."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn import from_keras
from keydnn.convert.build import BUILDERS
from keydnn.errors import KerasInteropError
from tests.parity.kerases import KERASES, Case, answer, assert_agrees, filled, quiet

pytestmark = pytest.mark.parity

LAYOUT, ACTIVATION = 'channels_last="transpose"', "allow_non_linear_activation=True"
KINDS, AXES = ("Max", "Average"), (1, 2, 3)
CONVOLUTIONS = {
    **{f"Conv{axes}D": {"filters": 12, "kernel_size": 3} for axes in AXES},
    **{f"Conv{axes}DTranspose": {"filters": 12, "kernel_size": 3} for axes in AXES},
    **{f"DepthwiseConv{axes}D": {"kernel_size": 3} for axes in (1, 2)},
    **{f"SeparableConv{axes}D": {"filters": 12, "kernel_size": 3} for axes in (1, 2)},
}
KERAS_3 = {f"Adaptive{kind}Pooling{axes}D": {"output_size": 2} for kind in KINDS for axes in AXES} | {
    "ZeroPadding1D": {}
}
OTHERS = {
    **{f"{kind}Pooling{axes}D": {"pool_size": 2} for kind in KINDS for axes in AXES},
    **{f"Global{kind}Pooling{axes}D": {} for kind in KINDS for axes in AXES},
    **{f"{what}{axes}D": {} for what in ("UpSampling", "ZeroPadding") for axes in (2, 3)},
    **{f"Cropping{axes}D": {"cropping": 1} for axes in (2, 3)},
    **KERAS_3,
}
SPATIAL = CONVOLUTIONS | OTHERS
PAIRS = [
    (class_name, name) for name in KERASES for class_name in SPATIAL if name == "keras3" or class_name not in KERAS_3
]


def shape_of(class_name, data_format):
    sizes = next(sizes for axes, sizes in {"1D": (9,), "2D": (7, 9), "3D": (5, 7, 9)}.items() if axes in class_name)
    return (*sizes, 4) if data_format == "channels_last" else (4, *sizes)


def model_of(name, class_name, data_format, **more):
    """Give a model of one layer that is named ``the_layer``."""
    options = {**SPATIAL[class_name], "data_format": data_format, "name": "the_layer", **more}
    return Case(
        class_name,
        (shape_of(class_name, data_format),),
        lambda library, x: getattr(library.layers, class_name)(**options)(x),
    ).model(name)


def refused(model, **switches):
    """Give the first line of the refusal and its obstacles."""
    with pytest.raises(KerasInteropError) as caught:
        from_keras(model, **switches)
    return str(caught.value).splitlines()[0], caught.value.obstacles


@pytest.mark.parametrize(("class_name", "name"), PAIRS)
def test_channels_last_is_refused_and_allowed_by_its_switch(class_name, name):
    model = model_of(name, class_name, "channels_last")
    line, obstacles = refused(model)
    assert line.startswith(f"Keras {class_name} with data_format='channels_last' is not supported in Phase 1. ")
    assert [(o.layer, o.class_name, o.found, o.switch) for o in obstacles] == [
        ("the_layer", class_name, "data_format='channels_last'", LAYOUT)
    ]
    assert refused(model, allow_non_linear_activation=True)[1] == obstacles
    from_keras(model, channels_last="transpose")


@pytest.mark.parametrize(("class_name", "name"), PAIRS)
def test_channels_first_needs_no_switch(class_name, name):
    model = model_of(name, class_name, "channels_first")
    inputs = np.random.default_rng(1).standard_normal((2, *model.inputs[0].shape[1:])).astype(np.float32)
    assert_agrees(from_keras(model), inputs, answer(model, inputs), 1e-3)


@pytest.mark.parametrize("name", KERASES)
@pytest.mark.parametrize("class_name", CONVOLUTIONS)
@pytest.mark.parametrize("activation", ["relu", "softmax", "tanh"])
def test_a_fused_activation_is_refused_and_allowed_by_its_switch(class_name, activation, name):
    model = model_of(name, class_name, "channels_first", activation=activation)
    line, obstacles = refused(model)
    assert line.startswith(f"Non-linear activation fused into {class_name} is not allowed. ")
    assert [(o.layer, o.class_name, o.found, o.switch) for o in obstacles] == [
        ("the_layer", class_name, f"activation={activation!r}", ACTIVATION)
    ]
    assert refused(model, channels_last="transpose")[1] == obstacles
    from_keras(model, allow_non_linear_activation=True)


@pytest.mark.parametrize("name", KERASES)
def test_linear_activations_are_not_refused(name):
    from_keras(model_of(name, "Conv2D", "channels_first", activation="linear"))


@pytest.mark.parametrize("name", KERASES)
@pytest.mark.parametrize(
    ("shape", "axis", "allowed"),
    [
        pytest.param((4, 5, 3), -1, False, id="rank-4-last"),
        pytest.param((4, 5, 3), 2, False, id="rank-4-axis-2"),
        pytest.param((4, 5, 3), 1, True, id="rank-4-axis-1"),
        pytest.param((5, 3), -1, False, id="rank-3-last"),
        pytest.param((5, 3), 1, True, id="rank-3-axis-1"),
        pytest.param((3,), -1, True, id="rank-2"),
    ],
)
def test_batch_normalization_on_another_axis_than_1_is_refused(shape, axis, allowed, name):
    model = Case("norm", (shape,), lambda library, x: library.layers.BatchNormalization(axis=axis)(x)).model(name)
    if allowed:
        from_keras(model)
        return
    line, (obstacle,) = refused(model)
    written = axis if name == "keras3" else axis % (len(shape) + 1)  # tf-keras writes the axis counted from the front
    assert line.startswith(f"Keras BatchNormalization with axis={written} is not supported in Phase 1. ")
    assert (obstacle.class_name, obstacle.switch) == ("BatchNormalization", LAYOUT)
    from_keras(model, channels_last="transpose")


def mixed(library):
    """Give a model with everything that is refused, and what is not between."""
    layers = library.layers
    inner = library.Sequential(
        [layers.Input((3, 4, 12)), layers.Conv2D(5, 1, activation="tanh", name="deep")], name="in"
    )
    return library.Sequential(
        [
            layers.Input((7, 9, 4)),
            layers.Conv2D(6, 3, activation="relu", name="one"),
            layers.BatchNormalization(name="two"),
            layers.ReLU(name="free"),
            layers.SeparableConv2D(12, 3, name="three"),
            layers.MaxPooling2D(1, name="four"),
            layers.Permute((1, 2, 3), name="free_too"),
            layers.Cropping2D(((0, 0), (0, 1)), name="five"),
            inner,
            layers.Flatten(name="free_three"),
            layers.Dense(3, activation="softmax", name="six"),
        ]
    )


@pytest.mark.parametrize("name", KERASES)
def test_everything_is_listed_at_once(name):
    with quiet():
        model = filled(mixed(KERASES[name]), 1)
    line, obstacles = refused(model)
    layout = {"one", "two", "three", "four", "five", "in/deep"}
    activation = {"one", "in/deep", "six"}
    assert {o.layer for o in obstacles if o.switch == LAYOUT} == layout
    assert {o.layer for o in obstacles if o.switch == ACTIVATION} == activation
    assert len(obstacles) == len(layout) + len(activation)
    assert "9 things stand in the way" in line
    assert "--channels-last transpose" in line
    assert "--allow-non-linear-activation" in line
    assert {o.layer for o in refused(model, channels_last="transpose")[1]} == activation
    assert {o.layer for o in refused(model, allow_non_linear_activation=True)[1]} == layout
    inputs = np.random.default_rng(1).standard_normal((2, 7, 9, 4)).astype(np.float32)
    wanted = answer(model, inputs)
    for switches in ({"strict": False}, {"channels_last": "transpose", "allow_non_linear_activation": True}):
        assert_agrees(from_keras(model, **switches), inputs, wanted, 0.1)


def test_every_class_with_a_data_format_is_here():
    """But for two: Flatten only moves the channels last, and STFTSpectrogram says by it where its results stand."""
    keras, stems = KERASES["keras3"].layers, {"conv", "pool", "shape", "upsample"}
    names = [name for name, builder in BUILDERS.items() if builder.stem in stems and hasattr(keras, name)]
    found = {name for name in names if "data_format" in getattr(keras, name).__init__.__code__.co_varnames}
    assert found - {"Flatten", "STFTSpectrogram"} == set(SPATIAL)
