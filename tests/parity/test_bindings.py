"""What belongs to what: models called by name, outputs of dicts, layers shared across models, names that collide."""

from __future__ import annotations

import pytest

from tests.parity.kerases import Case, adding_to, check, parameters

pytestmark = pytest.mark.parity

CASES: list[Case] = []
case = adding_to(CASES)


def difference(library, keys=None):
    """Give a nested model that subtracts its input ``b`` from its input ``a``."""
    a, b = library.Input((3,), name="a"), library.Input((3,), name="b")
    given = {key: {"a": a, "b": b}[key] for key in keys} if keys else [b, a]
    return library.Model(given, library.layers.Subtract()([a, b]), name="difference")


@case((3,), (3,))
def dict_model_called_with_a_dict_in_another_order(library, x, y):
    return difference(library, "ba")({"a": x, "b": y})


@case((3,), (3,))
def dict_model_called_with_a_dict_in_its_order(library, x, y):
    return difference(library, "ba")({"b": x, "a": y})


@case((3,), (3,))
def list_model_called_with_a_dict_by_name(library, x, y):
    return difference(library)({"a": x, "b": y})


@case((3,), (3,), kerases=("keras2",))
def dict_model_called_with_a_list(library, x, y):
    """tf-keras takes the list in the order of the sorted keys; Keras 3 refuses it."""
    return difference(library, "ba")([x, y])


@case((3,), (3,), names=("b", "a"))
def keys_that_are_other_inputs_names(library, x, y):
    a, b = library.Input((3,), name="b_in"), library.Input((3,), name="a_in")
    return library.Model({"a": a, "b": b}, library.layers.Subtract()([a, b]))


@case((3,))
def outputs_of_a_nested_dict_count_by_sorted_keys(library, x):
    a = library.Input((3,))
    made = library.Model(a, {"z": library.layers.Dense(2)(a), "c": library.layers.Dense(2)(a)}, name="inner")(x)
    return library.layers.Subtract()([made["z"], made["c"]])


@case((3,))
def a_layer_shared_by_a_nested_model_and_the_outer_one(library, x):
    a = library.Input((3,))
    dense = library.layers.Dense(3, name="shared")
    inner = library.Model(a, dense(a), name="inner")
    return library.layers.Dense(2)(dense(inner(x)))


@case((3,), sources=("keras", "live"))
def a_layer_shared_with_a_nested_model_that_comes_later(library, x):
    """tf-keras cannot load its own HDF5 file of this."""
    dense = library.layers.Dense(3, name="shared")
    y = dense(x)
    a = library.Input((3,))
    return library.Model(a, library.layers.Dense(2)(dense(a)), name="inner")(y)


@case((3,))
def an_extractor_and_the_whole_model_on_one_backbone(library, x):
    a = library.Input((3,))
    hidden = library.layers.Dense(3, name="hidden")(a)
    extractor = library.Model(a, hidden, name="extractor")
    whole = library.Model(a, library.layers.Dense(2, name="head")(hidden), name="whole")
    return library.layers.Concatenate()([extractor(x), whole(x)])


@case((3,), sources=("keras", "live"))
def blocks_whose_layers_have_the_same_names(library, x):
    """tf-keras cannot write an HDF5 file of this."""
    layers = library.layers
    a = library.Input((3,))
    first = library.Sequential([library.Input((3,)), layers.Dense(3, name="d")], name="first")
    second = library.Sequential([library.Input((3,)), layers.Dense(3, name="d")], name="second")
    return library.Model(a, second(first(a)), name="both")(x)


@case((3,), kerases=("keras3",), sources=("h5",))
def blocks_whose_layers_have_the_same_names_in_hdf5(library, x):
    return blocks_whose_layers_have_the_same_names(library, x)


@case((3,))
def a_layer_named_like_an_unfused_activation(library, x):
    y = library.layers.Dense(3, activation="relu", name="q")(x)
    return library.layers.Subtract()([y, library.layers.GaussianNoise(0.1, name="q.activation")(x)])


@case((5, 5, 2))
def layers_named_like_parts_and_permutes(library, x):
    layers = library.layers
    y = layers.SeparableConv2D(3, 2, name="s")(x)
    y = layers.Conv2D(3, 2, name="s.depthwise")(y)
    y = layers.ReLU(name="s.channels_last")(y)
    y = layers.Flatten(name="f")(y)
    return layers.Dense(2, name="f.in0")(y)


@case((3,), kerases=("keras2",), sources=("keras", "live"))
def a_nested_layer_and_a_layer_with_a_slash(library, x):
    """Neither Keras can write an HDF5 file of this, and Keras 3 forbids the slash."""
    a = library.Input((3,))
    inner = library.Model(a, library.layers.Dense(3, name="b")(a), name="a")
    return library.layers.Dense(3, name="a/b")(inner(x))


@pytest.mark.parametrize(("model", "name", "source"), parameters(CASES))
def test_binding_agrees(model, name, source):
    check(model, name, source)
