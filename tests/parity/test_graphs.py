"""Models as graphs: branches, several inputs and outputs, shared layers, nested models, dicts, Sequential models."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn import from_keras
from tests.parity.kerases import KERASES, Case, adding_to, answer, assert_agrees, check, filled, parameters, quiet, save

pytestmark = pytest.mark.parity

CASES: list[Case] = []
case = adding_to(CASES)


def conv(library, filters=3, **options):
    return library.layers.Conv2D(filters, 3, padding="same", **options)


# --- wiring ----------------------------------------------------------------------------------------------------------


@case((6, 7, 3))
def residual(library, x):
    y = library.layers.BatchNormalization()(conv(library)(x))
    y = library.layers.ReLU()(library.layers.Add()([x, y]))
    return library.layers.Dense(4, activation="softmax")(library.layers.GlobalAveragePooling2D()(y))


@case((6, 7, 3))
def inception(library, x):
    layers = library.layers
    branches = [conv(library, 2)(x), layers.MaxPooling2D(3, 1, "same")(x), layers.AveragePooling2D(3, 1, "same")(x)]
    y = layers.Concatenate()(branches)
    return layers.GlobalAveragePooling2D()(conv(library, 4, strides=2, activation="relu")(y))


@case((6, 7, 3))
def squeeze_and_excite(library, x):
    layers = library.layers
    y = layers.GlobalAveragePooling2D(keepdims=True)(x)
    y = layers.Conv2D(3, 1, activation="sigmoid")(conv(library, 2, activation="relu")(y))
    return layers.Multiply()([x, y])


@case((6, 7, 3))
def u_net(library, x):
    layers = library.layers
    down = conv(library, 4, strides=2, activation="relu")(x)
    up = layers.UpSampling2D()(down)
    up = layers.Cropping2D(((0, 0), (0, 1)))(up)
    return conv(library, 2)(layers.Concatenate()([up, x]))


@case((6, 7, 3), (5,))
def two_inputs(library, image, vector):
    y = library.layers.GlobalMaxPooling2D()(conv(library)(image))
    return library.layers.Dense(2)(library.layers.Concatenate()([y, vector]))


@case((4,), (4,), (4,))
def inputs_in_another_order(library, a, b, c):
    y = library.layers.Subtract()([library.layers.Subtract()([c, a]), b])
    return library.Model([b, c, a], y)


@case((6, 7, 3))
def three_outputs(library, x):
    first = conv(library)(x)
    second = library.layers.Flatten()(first)
    return [second, first, library.layers.Dense(2)(second)]


@case((5,))
def an_output_twice(library, x):
    y = library.layers.Dense(3)(x)
    return [y, library.layers.ReLU()(y), y]


@case((5,), (5,))
def an_input_as_output(library, x, y):
    return [library.layers.Dense(3)(x), y]


@case((5,))
def one_output_in_a_list(library, x):
    return [library.layers.Dense(3)(x)]


@case((5,), (6,), names=("right", "left"))
def dict_of_inputs(library, right, left):
    return library.layers.Concatenate()([library.layers.Dense(3)(left), right])


@case((5,), (6,), names=("right", "left"))
def dicts_of_inputs_and_outputs(library, right, left):
    return {"z": library.layers.Dense(3)(left), "a": library.layers.Dense(2)(right)}


@case((5,))
def dict_of_outputs(library, x):
    y = library.layers.Dense(3)(x)
    return {"second": library.layers.ReLU()(y), "first": y}


@case((5,), (4,), names=("z", "b"))
def dict_keys_that_are_not_the_layers_names(library, *_):
    first, second = library.Input((5,), name="b"), library.Input((4,), name="other")
    return library.Model({"z": first, "b": second}, library.layers.Concatenate()([first, second]))


@case((5,), (4,))
def nested_model_with_nested_structures(library, x, y):
    a, b, c = library.Input((5,), name="a"), library.Input((4,), name="b"), library.Input((5,), name="c")
    outputs = {"one": library.layers.Subtract()([a, c]), "more": [library.layers.Dense(3)(b), a]}
    inner = library.Model({"z": a, "y": [b, {"x": c}]}, outputs, name="inner")
    found = inner({"y": [y, {"x": library.layers.Dense(5)(x)}], "z": x})
    return library.layers.Concatenate()([found["one"], found["more"][0], found["more"][1]])


@case((5,), (4,))
def an_input_that_nothing_reads(library, x, _):
    return library.layers.Dense(3)(x)


# --- shared layers ---------------------------------------------------------------------------------------------------


@case((5,), (5,))
def siamese(library, x, y):
    shared = library.layers.Dense(4, activation="relu")
    return library.layers.Subtract()([shared(x), shared(y)])


@case((6, 7, 3))
def a_layer_called_twice_in_a_row(library, x):
    shared = conv(library)
    return shared(shared(x))


@case((6, 7, 3), (4, 5, 3))
def a_convolution_on_two_sizes(library, x, y):
    shared, pool = conv(library), library.layers.GlobalAveragePooling2D()
    return library.layers.Add()([pool(shared(x)), pool(shared(y))])


@case((5,))
def shared_batch_normalization_and_activation(library, x):
    norm, act, dense = library.layers.BatchNormalization(), library.layers.ReLU(), library.layers.Dense(5)
    return act(norm(dense(act(norm(x)))))


# --- nested models ---------------------------------------------------------------------------------------------------


def block(library, *layers, name="block"):
    return library.Sequential(layers, name=name)


@case((6, 7, 3))
def sequential_in_functional(library, x):
    inner = block(library, library.layers.Input((6, 7, 3)), conv(library), library.layers.ReLU())
    return library.layers.Flatten()(inner(x))


@case((5,))
def sequential_without_input_in_functional(library, x):
    inner = block(library, library.layers.Dense(4, activation="tanh"), library.layers.Dense(3))
    return inner(x)


@case((6, 7, 3))
def sequential_called_twice(library, x):
    inner = block(library, library.layers.Input((6, 7, 3)), conv(library, activation="relu"))
    return library.layers.Add()([inner(inner(x)), x])


def encoder(library, name="encoder", size=5):
    x = library.Input((size,))
    y = library.layers.Dense(4, activation="relu", name="first")(x)
    return library.Model(x, library.layers.Dense(size, name="second")(y), name=name)


@case((5,))
def functional_in_functional(library, x):
    return library.layers.ReLU()(encoder(library)(x))


@case((5,), (5,))
def functional_called_twice(library, x, y):
    inner = encoder(library)
    return library.layers.Subtract()([inner(x), inner(y)])


@case((5,))
def functional_called_on_its_own_output(library, x):
    inner = encoder(library)
    return [inner(inner(x)), inner(x)]


@case((5,))
def functional_as_output_layer_called_twice(library, x):
    inner = encoder(library)
    inner(x)
    return inner(library.layers.ReLU()(x))


@case((5,))
def two_nested_models_with_the_same_layer_names(library, x):
    return encoder(library, "b")(encoder(library, "a")(x))


@case((5,))
def nested_and_outer_layers_of_the_same_name(library, x):
    y = library.layers.Dense(5, name="first")(x)
    return library.layers.Dense(2, name="second")(encoder(library)(y))


@case((5,))
def three_levels(library, x):
    a = library.Input((5,))
    middle = library.Model(a, library.layers.Dense(5, name="outer")(encoder(library)(a)), name="middle")
    return library.layers.Add()([middle(x), middle(middle(x))])


@case((5,), sources=("keras", "live"))
def three_levels_with_the_same_layer_names(library, x):
    """Neither Keras can write this to HDF5: two weights would have one name."""
    a = library.Input((5,))
    y = encoder(library, "inner")(library.layers.Dense(5, name="first")(a))
    middle = library.Model(a, library.layers.Dense(3, name="second")(y), name="middle")
    return middle(x)


@case((5,), (4,))
def nested_with_two_inputs_and_outputs(library, x, y):
    a, b = library.Input((5,)), library.Input((4,))
    dense = library.layers.Dense(4)(a)
    inner = library.Model([a, b], [library.layers.Subtract()([dense, b]), dense], name="inner")
    first, _ = inner([x, y])
    third, fourth = inner([x, first])
    return [library.layers.Concatenate()([first, fourth]), third]


@case((5,))
def nested_that_passes_its_input_on(library, x):
    a = library.Input((5,))
    inner = library.Model(a, [a, library.layers.Dense(3)(a)], name="inner")
    same, dense = inner(x)
    return library.layers.Concatenate()([dense, same])


@case((5,))
def nested_with_a_shared_layer(library, x):
    a = library.Input((5,))
    dense = library.layers.Dense(5, activation="relu")
    inner = library.Model(a, dense(dense(a)), name="inner")
    return inner(inner(x))


@case((5,))
def nested_with_a_dict_of_inputs(library, x):
    """Named in another order than the alphabet's, both in the model and in its call."""
    b, a = library.Input((5,), name="b"), library.Input((5,), name="a")
    inner = library.Model({"b": b, "a": a}, library.layers.Subtract()([a, b]), name="inner")
    return inner({"b": x, "a": library.layers.Dense(5)(x)})


@case((5,))
def nested_with_dicts_whose_keys_are_not_the_layers_names(library, x):
    a, b = library.Input((5,), name="a"), library.Input((5,), name="b")
    outputs = {"second": library.layers.Subtract()([a, b]), "first": library.layers.Dense(2)(a)}
    inner = library.Model({"z": a, "b": b}, outputs, name="inner")
    found = inner({"b": x, "z": library.layers.Dense(5)(x)})
    return library.layers.Concatenate()([found["second"], found["first"]])


@case((5,), (5,))
def nested_with_inputs_in_another_order(library, x, y):
    a, b = library.Input((5,), name="b"), library.Input((5,), name="a")
    inner = library.Model([a, b], library.layers.Subtract()([a, b]), name="inner")
    return inner([y, x])


@case((5,))
def a_layer_shared_by_two_nested_models_and_the_outer_one(library, x):
    shared = library.layers.Dense(5, name="shared")
    first, second = (block(library, library.layers.Input((5,)), shared, name=name) for name in ("first", "second"))
    return second(first(shared(x)))


@case((5,), kerases=("keras2",))
def slashes_in_names(library, x):
    """Keras 3 allows none."""
    a = library.Input((5,))
    y = library.layers.Dense(4, name="left/dense")(a)
    inner = library.Model(a, library.layers.Dense(3, name="right/dense")(y), name="inner/model")
    return library.layers.Dense(2, name="outer/dense")(inner(x))


@case((5,))
def nested_layers_named_as_the_model_and_as_weights(library, x):
    a = library.Input((5,))
    y = library.layers.Dense(4, name="kernel")(a)
    inner = library.Model(
        a, library.layers.Dense(3, name="bias")(library.layers.Dense(4, name="inner")(y)), name="inner"
    )
    return inner(x)


@case((6, 7, 3))
def nested_with_frozen_layers(library, x):
    """The legacy layout stores a nested model's trainable weights first."""
    a = library.Input((6, 7, 3))
    layers = library.layers
    y = conv(library)(a)
    y = layers.BatchNormalization()(y)
    y = conv(library, trainable=False)(y)
    y = layers.BatchNormalization(trainable=False)(y)
    inner = library.Model(a, conv(library)(y), name="inner")
    return layers.Flatten()(inner(x))


@case((6, 7, 3))
def frozen_nested_model(library, x):
    inner = block(library, library.layers.Input((6, 7, 3)), conv(library), library.layers.BatchNormalization())
    inner.trainable = False
    return library.layers.ReLU()(inner(x))


# --- Sequential models ------------------------------------------------------------------------------------------------


@case((6, 7, 3))
def sequential_with_an_input(library, _):
    return library.Sequential(
        [library.layers.Input((6, 7, 3)), conv(library), library.layers.Flatten(), library.layers.Dense(2)]
    )


@case((6, 7, 3))
def sequential_with_an_input_shape(library, _):
    return library.Sequential([conv(library, input_shape=(6, 7, 3)), library.layers.GlobalMaxPooling2D()])


@case((5,))
def sequential_built_late(library, _):
    made = library.Sequential([library.layers.Dense(4, activation="relu"), library.layers.Dense(2)])
    made.build((None, 5))
    return made


@case((5,))
def sequential_of_models(library, _):
    return library.Sequential([library.layers.Input((5,)), encoder(library, "a"), encoder(library, "b")])


@case((5,))
def sequential_of_a_sequential(library, _):
    inner = block(library, library.layers.Dense(4), library.layers.Dense(3))
    return library.Sequential([library.layers.Input((5,)), inner, library.layers.Dense(2)])


@case((5,))
def a_functional_model_of_nothing_but_its_input(library, x):
    return library.layers.Dropout(0.5)(x)


# --- layouts ---------------------------------------------------------------------------------------------------------


@case((6, 7, 3))
def channels_first_and_last_mixed(library, x):
    y = conv(library, 4)(x)
    y = conv(library, 5, data_format="channels_first")(y)
    y = library.layers.MaxPooling2D(data_format="channels_first")(y)
    y = library.layers.AveragePooling2D(2)(y)
    return library.layers.Dense(3)(library.layers.Flatten()(y))


@case((6, 7, 3))
def flatten_channels_first_after_channels_last(library, x):
    return library.layers.Flatten(data_format="channels_first")(conv(library, 4)(x))


@case((6, 7, 3))
def keras_permutes_between(library, x):
    y = conv(library, 4)(x)
    y = library.layers.Permute((3, 1, 2))(y)
    y = library.layers.Softmax(axis=1)(y)
    y = library.layers.Permute((2, 3, 1))(y)
    return library.layers.Reshape((7, 6, 4))(conv(library, 4)(y))


@case((6, 7, 3))
def dense_and_norms_between_convolutions(library, x):
    layers = library.layers
    y = layers.Dense(5)(conv(library, 4)(x))
    y = layers.LayerNormalization()(y)
    y = layers.BatchNormalization(axis=1)(y)
    y = layers.Concatenate(axis=2)([y, layers.BatchNormalization(axis=2)(y)])
    return conv(library, 2)(y)


@case((6, 7, 3), (7, 1), (3,))
def lower_ranks_broadcast_onto_an_image(library, x, y, z):
    y = library.layers.Add()([conv(library)(x), y])
    return conv(library)(library.layers.Multiply()([z, y]))


@case((None, None, 3))
def free_sizes(library, x):
    y = conv(library, 4, strides=2, activation="relu")(x)
    return library.layers.GlobalAveragePooling2D()(library.layers.UpSampling2D()(y))


@case((9, 4))
def sequence(library, x):
    layers = library.layers
    y = layers.Conv1D(5, 3, padding="causal", dilation_rate=2, activation="relu")(x)
    y = layers.MaxPooling1D(2)(layers.BatchNormalization()(y))
    return layers.Dense(2)(layers.GlobalAveragePooling1D()(y))


@pytest.mark.parametrize(("model", "name", "source"), parameters(CASES))
def test_graph_agrees(model, name, source):
    check(model, name, source)


@pytest.mark.parametrize("name", KERASES)
def test_a_part_of_another_model_agrees(name):
    """The inputs and outputs of the new model lie in the middle of the old one's nodes."""
    library = KERASES[name]
    with quiet():
        x = library.Input((5,))
        hidden = library.layers.Dense(4, activation="relu")(x)
        filled(library.Model(x, library.layers.Dense(3)(hidden)), 1)
        part = library.Model(x, library.layers.Softmax()(hidden))
    inputs = np.random.default_rng(2).standard_normal((2, 5)).astype(np.float32)
    wanted = answer(part, inputs)
    for source in save(part, f"part-{name}").values():
        assert_agrees(from_keras(source, strict=False), inputs, wanted, 1e-3)


@pytest.mark.parametrize("name", KERASES)
def test_inputs_nested_in_dictionaries_and_lists_are_named_by_their_paths(name):
    library = KERASES[name]
    with quiet():
        image, first, depth = (library.Input((size,), name=given) for size, given in ((5, "c"), (4, "b"), (3, "a")))
        join = library.layers.Concatenate()
        outputs = {"a": [join([image, first]), {"b": join([depth, image])}], "c": library.layers.Dense(2)(depth)}
        model = filled(library.Model({"image": image, "meta": [first, {"depth": depth}]}, outputs), 1)
    random = np.random.default_rng(2)
    flat = {
        key: random.standard_normal((2, size)).astype(np.float32)
        for key, size in (("image", 5), ("meta/0", 4), ("meta/1/depth", 3))
    }
    given = {"image": flat["image"], "meta": [flat["meta/0"], {"depth": flat["meta/1/depth"]}]}
    wanted = answer(model, given)
    for source in save(model, f"nested-inputs-{name}").values():
        assert_agrees(from_keras(source, strict=False), flat, wanted, 1e-3)
