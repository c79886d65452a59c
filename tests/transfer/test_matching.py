"""What goes where: by mapping, name, shape, order; and every way in which it may not."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keydnn import Sequential, WeightsMismatchError, load_keras_weights
from keydnn.errors import KerasFileError, KerasInteropError, ParameterError
from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules import (
    GRU,
    LSTM,
    BatchNorm1d,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Embedding,
    Flatten,
    LayerNorm,
    Linear,
    PReLU,
    Reshape,
    Softmax,
)
from tests.convert.files import dense, dense_weights, sequential, write_h5
from tests.transfer.files import numbers, write_legacy, write_v3

WEIGHTS = {"kernel": (4, 4), "bias": (4,)}


def layer(seed, **shapes):
    return {name: numbers(shape, seed * 10 + place) for place, (name, shape) in enumerate(shapes.items())}


def linears(*names, size=4):
    """Give a graph of square dense layers, one behind the other."""
    nodes = [Node(name, Linear(size, size), (before,)) for name, before in zip(names, ("x", *names), strict=False)]
    return Graph([Input("x", (None, size))], nodes, [Output("y", names[-1])])


def weights_of(loaded):
    return {name: module.tensors()["weight"] for name, module in loaded.model.modules()}


@pytest.fixture
def three(tmp_path):
    """Give a file of three dense layers that are alike."""
    return write_legacy(tmp_path / "w.h5", {name: layer(n, **WEIGHTS) for n, name in enumerate(["in", "mid", "out"])})


# --- what fits --------------------------------------------------------------------------------------------------------


def test_layers_that_are_alike_go_by_order(three):
    loaded = load_keras_weights(linears("a", "b", "c"), three)
    found = weights_of(loaded)
    for place, name in enumerate("abc"):
        np.testing.assert_array_equal(found[name], numbers((4, 4), place * 10).T)
    assert [row.how for row in loaded.rows[::2]] == [f"by order, {place} of 3" for place in (1, 2, 3)]
    assert [(row.tensor, row.layer, row.array, row.stored) for row in loaded.rows[:2]] == [
        ("a.weight", "in", "kernel", "in/kernel:0"),
        ("a.bias", "in", "bias", "in/bias:0"),
    ]


def test_names_count_if_every_module_has_the_name_of_a_layer(three):
    found = weights_of(load_keras_weights(linears("out", "in", "mid"), three))
    np.testing.assert_array_equal(found["out"], numbers((4, 4), 20).T)
    np.testing.assert_array_equal(found["in"], numbers((4, 4), 0).T)


def test_names_do_not_count_if_one_module_has_another(three):
    found = weights_of(load_keras_weights(linears("out", "in", "other"), three))
    np.testing.assert_array_equal(found["out"], numbers((4, 4), 0).T)


def test_the_mapping_settles_some_and_order_the_others(three):
    loaded = load_keras_weights(linears("a", "b", "c"), three, {"a": "out"})
    found = weights_of(loaded)
    np.testing.assert_array_equal(found["a"], numbers((4, 4), 20).T)
    np.testing.assert_array_equal(found["b"], numbers((4, 4), 0).T)
    np.testing.assert_array_equal(found["c"], numbers((4, 4), 10).T)
    assert [row.how for row in loaded.rows[::2]] == ["by the mapping", "by order, 1 of 2", "by order, 2 of 2"]


def test_a_layer_may_be_given_to_two_modules(three):
    found = weights_of(load_keras_weights(linears("a", "b"), three, {"a": "mid", "b": "mid"}, partial=True))
    np.testing.assert_array_equal(found["a"], found["b"])


def test_hdf5s_alphabet_does_not_count(tmp_path):
    names = [f"dense_{number}" for number in range(1, 12)]
    legacy = write_legacy(tmp_path / "a.h5", {name: layer(n, **WEIGHTS) for n, name in enumerate(names)})
    v3 = write_v3(
        tmp_path / "b.weights.h5",
        {f"layers/{name}": list(layer(n, **WEIGHTS).values()) for n, name in enumerate(["dense", *names[:-1]])},
    )
    for path in (legacy, v3):
        found = weights_of(load_keras_weights(linears(*"abcdefghijk"), path))
        for place, name in enumerate("abcdefghijk"):
            np.testing.assert_array_equal(found[name], numbers((4, 4), place * 10).T)


@settings(deadline=None)  # a busy machine starts the HDF5 process late
@given(st.permutations(range(6)), st.integers(0, 5))
def test_kinds_and_shapes_find_their_layers_in_any_order_of_definition(tmp_path_factory, order, cut):
    modules = [
        ("conv", Conv2d(3, 8, 3)),
        ("dw", Conv2d(3, 6, 3, groups=3)),
        ("up", ConvTranspose2d(8, 3, 3)),
        ("fc", Linear(3, 8, use_bias=False)),
        ("emb", Embedding(3, 8)),
        ("bn", BatchNorm1d(8)),
    ]
    stored = {
        "conv": layer(0, kernel=(3, 3, 3, 8), bias=(8,)),
        "dw": layer(1, depthwise_kernel=(3, 3, 3, 2), bias=(6,)),
        "up": layer(2, kernel=(3, 3, 3, 8), bias=(3,)),
        "fc": layer(3, kernel=(3, 8)),
        "emb": layer(4, embeddings=(3, 8)),
        "bn": layer(5, gamma=(8,), beta=(8,), moving_mean=(8,), moving_variance=(8,)),
    }
    path = tmp_path_factory.mktemp("any") / "w.h5"
    write_legacy(path, dict(list(stored.items())[cut:] + list(stored.items())[:cut]))
    shapes = {"conv": (1, 3, 9, 9), "dw": (1, 3, 9, 9), "up": (1, 8, 9, 9), "fc": (1, 3), "emb": (1, 2), "bn": (1, 8)}
    chosen = [modules[place] for place in order]
    graph = Graph(
        [Input(f"x{name}", shapes[name]) for name, _ in chosen],
        [Node(f"my_{name}", module, (f"x{name}",)) for name, module in chosen],
        [Output(name, f"my_{name}") for name, _ in chosen],
    )
    loaded = load_keras_weights(graph, path)
    assert {(row.tensor.partition(".")[0], row.layer) for row in loaded.rows} == {(f"my_{n}", n) for n, _ in modules}
    assert {row.how for row in loaded.rows} == {"by shape"}


def test_a_kernel_that_fits_two_modules_goes_to_the_one_that_nothing_else_fits(tmp_path):
    """A kernel (3, 3, 1, 8) is that of 8 filters of a grey image, or of 8 groups."""
    first, second = numbers((3, 3, 1, 8)), numbers((3, 3, 8, 1), 1)
    path = write_legacy(tmp_path / "w.h5", {"second": {"depthwise_kernel": second}, "first": {"kernel": first}})
    model = Sequential(
        Conv2d(1, 8, 3, use_bias=False), Conv2d(8, 8, 3, groups=8, use_bias=False), input_shape=(None, 1, 9, 9)
    )
    load_keras_weights(model, path)
    np.testing.assert_array_equal(model.state_dict()["0.weight"], first.transpose(3, 2, 0, 1))
    np.testing.assert_array_equal(model.state_dict()["1.weight"], second.transpose(2, 3, 0, 1))


def test_partial_leaves_what_fits_nothing(three):
    graph = Graph(
        [Input("x", (None, 4))],
        [*linears("a", "b", "c").nodes, Node("head", Linear(4, 7), ("c",))],
        [Output("y", "head")],
    )
    with pytest.raises(WeightsMismatchError):
        load_keras_weights(graph, three)
    loaded = load_keras_weights(graph, three, partial=True)
    assert loaded.kept == ("head",)
    assert loaded.unused == ()
    assert "kept as it was: head" in str(loaded)


def test_a_module_that_the_mapping_gives_nothing_keeps_its_weights(three):
    loaded = load_keras_weights(linears("a", "b", "c", "d"), three, {"b": None})
    assert loaded.kept == ("b",)
    assert [row.tensor for row in loaded.rows[::2]] == ["a.weight", "c.weight", "d.weight"]


def nested(tmp_path):
    groups = ("layers/dense", "layers/functional/layers/dense", "layers/functional/layers/dense_1")
    arrays = {group: list(layer(place, **WEIGHTS).values()) for place, group in enumerate(groups)}
    return write_v3(tmp_path / "w.weights.h5", arrays)


def test_the_mapping_gives_a_module_of_modules_a_model_of_layers(tmp_path):
    loaded = load_keras_weights(linears("last", "body.0", "body.1"), nested(tmp_path), {"body": "functional"})
    found = weights_of(loaded)
    for name, seed in (("last", 0), ("body.0", 10), ("body.1", 20)):
        np.testing.assert_array_equal(found[name], numbers((4, 4), seed).T)
    assert [row.how for row in loaded.rows[2::2]] == [f"by the mapping, by order, {place} of 2" for place in (1, 2)]
    with pytest.raises(WeightsMismatchError, match="body: 3 needed, but the mapping names 2: "):
        load_keras_weights(linears("body.0", "body.1", "body.2"), nested(tmp_path), {"body": "functional"})


def test_the_mapping_takes_a_list_for_a_module_of_several_layers(three):
    loaded = load_keras_weights(linears("body.0", "body.1", "c"), three, {"body": ["out", "in"]})
    found = weights_of(loaded)
    np.testing.assert_array_equal(found["body.0"], numbers((4, 4), 20).T)
    np.testing.assert_array_equal(found["body.1"], numbers((4, 4), 0).T)


def test_nothing_in_the_mapping_keeps_a_modules_own_weights_or_all_of_a_container(three):
    names = ("a", "a.inside", "b.0", "b.1")
    assert load_keras_weights(linears(*names), three, {"a": None}).kept == ("a",)
    assert load_keras_weights(linears(*names, "c"), three, {"b": None}).kept == ("b.0", "b.1")


# --- what does not ----------------------------------------------------------------------------------------------------


def test_everything_that_does_not_fit_is_listed_and_nothing_is_written(tmp_path):
    path = write_legacy(
        tmp_path / "w.h5",
        {
            "conv": layer(0, kernel=(3, 3, 3, 8), bias=(8,)),
            "fc": layer(1, kernel=(8, 5), bias=(5,)),
            "extra": layer(2, kernel=(2, 2), bias=(2,)),
        },
    )
    graph = Graph(
        [Input("image", (None, 3, 9, 9)), Input("vector", (None, 8)), Input("ids", (None, 2))],
        [
            Node("c", Conv2d(3, 8, 5), ("image",)),
            Node("f", Linear(8, 5), ("vector",)),
            Node("g", Linear(8, 5, use_bias=False), ("vector",)),
            Node("e", Embedding(7, 3), ("ids",)),
        ],
        [Output(name, name) for name in "cfge"],
    )
    model = Sequential(Softmax(-1), input_shape=(None, 3))
    model.graph = graph
    with pytest.raises(WeightsMismatchError) as caught:
        load_keras_weights(model, path)
    assert model.graph is graph
    error = caught.value
    assert isinstance(error, ValueError)
    assert [(one.module, one.wanted, one.nearest, one.why) for one in error.mismatches] == [
        (
            "c",
            "kernel (5, 5, 3, 8), bias (8,)",
            "conv: kernel (3, 3, 3, 8), bias (8,)",
            "the nearest layer has other shapes",
        ),
        ("g", "kernel (8, 5)", "fc: kernel (8, 5), bias (5,)", "the nearest layer has other arrays"),
        ("e", "embeddings (7, 3)", "", "the file has no layer of the kind"),
    ]
    assert error.unused == ("conv: kernel (3, 3, 3, 8), bias (8,)", "extra: kernel (2, 2), bias (2,)")
    lines = str(error).splitlines()
    assert lines[0] == "w.h5: 3 modules do not fit and 2 layers are left over; nothing was written."
    assert "    wants    kernel (5, 5, 3, 8), bias (8,)" in lines
    assert "  left over: extra: kernel (2, 2), bias (2,)" in lines


@pytest.mark.parametrize("names", ["ab", "abcd"])
@pytest.mark.parametrize("partial", [False, True])
def test_other_numbers_of_modules_and_layers_are_no_match(three, names, partial):
    with pytest.raises(WeightsMismatchError) as caught:
        load_keras_weights(linears(*names), three, partial=partial)
    told = [one.module for one in caught.value.mismatches]
    assert told == ({"ab": [], "abcd": ["d"]}[names] if not partial else list(names))
    assert len(caught.value.unused) == (1 if names == "ab" and not partial else 0)
    if told:
        count = f"{len(names)} modules take weights of these shapes, but 3 layers have them: in, mid, out"
        assert caught.value.mismatches[0].why == count


def test_a_bias_in_the_file_alone_is_no_match(three):
    model = Sequential(*[Linear(4, 4, use_bias=False)] * 3, input_shape=(None, 4))
    with pytest.raises(WeightsMismatchError, match="other arrays"):
        load_keras_weights(model, three)


def test_kinds_without_a_rule_are_named(tmp_path, three):
    from keydnn.modules import Standardize

    model = Sequential(Standardize((4,)), Linear(4, 4), input_shape=(None, 4))
    with pytest.raises(WeightsMismatchError, match="0: no layout is known for weights of Standardize"):
        load_keras_weights(model, three)


def test_layers_of_different_classes_have_no_order_in_keras_3s_files(tmp_path):
    groups = {"layers/dense": layer(0, **WEIGHTS), "layers/functional/layers/dense": layer(1, **WEIGHTS)}
    path = write_v3(tmp_path / "w.weights.h5", {group: list(arrays.values()) for group, arrays in groups.items()})
    with pytest.raises(WeightsMismatchError, match="the order of the layers of these shapes is not in the file") as e:
        load_keras_weights(linears("a", "b"), path)
    assert len(e.value.mismatches) == 2
    found = weights_of(load_keras_weights(linears("a", "b"), path, {"a": "functional/dense"}))
    np.testing.assert_array_equal(found["a"], numbers((4, 4), 10).T)


def test_models_within_models_have_no_order_in_keras_2s_weights(tmp_path):
    """Keras writes what is trained first: the frozen layers of a model that is itself a layer come last."""
    inside = {f"{name}/{array}": value for name in "ba" for array, value in layer(ord(name), **WEIGHTS).items()}
    path = write_legacy(tmp_path / "w.h5", {"encoder": inside})
    with pytest.raises(WeightsMismatchError, match="the order of the layers of these shapes is not in the file"):
        load_keras_weights(linears("x1", "x2"), path)
    found = weights_of(load_keras_weights(linears("x1", "x2"), path, {"x1": "encoder/a"}))
    np.testing.assert_array_equal(found["x1"], numbers((4, 4), ord("a") * 10).T)


def test_gamma_and_beta_are_not_guessed(tmp_path):
    path = write_v3(tmp_path / "w.weights.h5", {"layers/layer_normalization": [numbers(4)]})
    model = Sequential(LayerNorm(4, use_bias=False), input_shape=(None, 4))
    with pytest.raises(WeightsMismatchError, match=r"does not say whether its array is gamma or beta; architecture="):
        load_keras_weights(model, path)
    named = write_legacy(tmp_path / "w.h5", {"n": {"gamma": numbers(4)}})
    load_keras_weights(model, named)
    np.testing.assert_array_equal(model.state_dict()["0.weight"], numbers(4))


def test_gates_that_reset_before_do_not_fit_those_that_reset_after(tmp_path):
    arrays = layer(0, kernel=(4, 9), recurrent_kernel=(3, 9), bias=(9,))
    path = write_legacy(tmp_path / "w.h5", {"gru": arrays})
    load_keras_weights(Sequential(GRU(4, 3, reset_after=False), input_shape=(None, 5, 4)), path)
    with pytest.raises(WeightsMismatchError, match="other shapes"):
        load_keras_weights(Sequential(GRU(4, 3), input_shape=(None, 5, 4)), path)


def test_what_the_mapping_says_wrong_is_refused(three):
    graph = linears("fc1", "fc2", "fc3")
    with pytest.raises(ParameterError, match=r"no module with weights 'fc'; there are 'fc1', 'fc2', 'fc3'"):
        load_keras_weights(graph, three, {"fc": "in"})
    with pytest.raises(ParameterError, match=r"no layer with weights 'outt'; there are 'out'"):
        load_keras_weights(graph, three, {"fc1": "outt"})
    with pytest.raises(WeightsMismatchError, match="fc1: 1 needed, but the mapping names 2: in and mid"):
        load_keras_weights(graph, three, {"fc1": ["in", "mid"]})


def test_a_mapping_to_other_shapes_says_so(tmp_path):
    path = write_legacy(tmp_path / "w.h5", {"a": layer(0, kernel=(4, 5), bias=(5,)), "b": layer(1, **WEIGHTS)})
    with pytest.raises(WeightsMismatchError) as caught:
        load_keras_weights(linears("x1"), path, {"x1": "a"})
    (one,) = caught.value.mismatches
    assert (one.nearest, one.why) == (
        "a: kernel (4, 5), bias (5,)",
        "by the mapping: the nearest layer has other shapes",
    )


def test_weights_that_mean_nothing_without_the_architecture_are_refused(tmp_path):
    model = Sequential(Conv2d(3, 8, 3), input_shape=(None, 3, 9, 9))
    theano = write_legacy(tmp_path / "t.h5", {"c": layer(0, kernel=(3, 3, 3, 8), bias=(8,))}, backend=b"theano")
    with pytest.raises(KerasInteropError, match="weights of Theano, which mirrors"):
        load_keras_weights(model, theano)
    with h5py.File(write_legacy(tmp_path / "k.h5", {"d": {"d_W": numbers((4, 4))}}), "a") as file:
        del file.attrs["keras_version"]
    with pytest.raises(KerasInteropError, match="weights of Keras 1"):
        load_keras_weights(linears("a"), tmp_path / "k.h5")


def test_a_file_without_weights_is_refused(tmp_path):
    write_legacy(tmp_path / "w.h5", {"seed": {"state": np.zeros(2, np.uint32)}})
    with pytest.raises(KerasFileError, match="no weights in it"):
        load_keras_weights(linears("a"), tmp_path / "w.h5")


def test_the_architecture_says_what_the_weights_alone_do_not(tmp_path):
    whole = write_h5(tmp_path / "m.h5", sequential(dense("d", 3)), {"d": dense_weights()})
    loaded = load_keras_weights(Sequential(Linear(4, 3), input_shape=(None, 4)), whole)
    assert loaded.rows[0].how == "by shape"


# --- feature maps and options -----------------------------------------------------------------------------------------


def decoder():
    return Sequential(
        Linear(5, 4 * 4 * 6), Reshape((6, 4, 4)), ConvTranspose2d(6, 2, 3), input_shape=(None, 5), name="decoder"
    )


def test_a_feature_map_that_a_dense_layer_gives_is_put_in_order_too(tmp_path):
    path = write_legacy(
        tmp_path / "w.h5",
        {"fc": layer(0, kernel=(5, 96), bias=(96,)), "up": layer(1, kernel=(3, 3, 2, 6), bias=(2,))},
    )
    model = decoder()
    (warning,) = load_keras_weights(model, path).warnings
    assert warning.startswith("0 gives 96 features: 16 cells of the 6 channels of 2 behind it.")
    assert 'unflatten={"0": (4, 4, 6)}' in warning
    loaded = load_keras_weights(model, path, unflatten={"0": (4, 4, 6)})
    assert loaded.warnings == ()
    x, kernel, bias = numbers((1, 5), 9), numbers((5, 96), 0), numbers(96, 1)
    wanted = (x @ kernel + bias).reshape(1, 4, 4, 6).transpose(0, 3, 1, 2)
    found = model.graph.nodes[0].module.forward(x).reshape(1, 6, 4, 4)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_statistics_of_flattened_features_are_put_in_order(tmp_path):
    arrays = layer(0, gamma=(12,), beta=(12,), moving_mean=(12,), moving_variance=(12,))
    path = write_legacy(tmp_path / "w.h5", {"bn": arrays})
    model = Sequential(Flatten(), BatchNorm1d(12), input_shape=(None, 3, 2, 2))
    load_keras_weights(model, path, flatten={"1": (2, 2, 3)})
    for name, stored in (("weight", "gamma"), ("running_var", "moving_variance")):
        wanted = arrays[stored].reshape(2, 2, 3).transpose(2, 0, 1).ravel()
        np.testing.assert_array_equal(model.state_dict()[f"1.{name}"], wanted)


@pytest.mark.parametrize("sizes", [(4, 4, 5), (96,), (4, 4.0, 6), (-4, -4, 6)])
def test_sizes_of_another_feature_map_are_refused(tmp_path, sizes):
    path = write_legacy(tmp_path / "w.h5", {"fc": layer(0, kernel=(96, 5), bias=(5,))})
    model = Sequential(Linear(96, 5), input_shape=(None, 96))
    with pytest.raises(ParameterError, match="flatten: 0 has 96 features, which"):
        load_keras_weights(model, path, flatten={"0": sizes})
    with pytest.raises(ParameterError, match="flatten: there is no module with weights '7'"):
        load_keras_weights(model, path, flatten={"7": sizes})


def test_modules_without_an_axis_of_features_cannot_be_flattened(tmp_path):
    path = write_legacy(tmp_path / "w.h5", {"c": layer(0, kernel=(3, 4, 4), bias=(4,))})
    with pytest.raises(ParameterError, match="flatten: 0 has no weights for the features of an example"):
        load_keras_weights(Sequential(Conv1d(4, 4, 3), input_shape=(None, 4, 9)), path, flatten={"0": (2, 2)})


def test_another_epsilon_is_warned_of(tmp_path):
    arrays = layer(0, gamma=(4,), beta=(4,), moving_mean=(4,), moving_variance=(4,))
    path = write_legacy(tmp_path / "w.h5", {"bn": arrays})
    loaded = load_keras_weights(Sequential(BatchNorm1d(4), input_shape=(None, 4)), path)
    assert loaded.warnings == ("eps of 0 is 1e-05, but 0.001 by default in Keras (the file does not say)",)
    assert load_keras_weights(Sequential(BatchNorm1d(4, eps=1e-3), input_shape=(None, 4)), path).warnings == ()


def test_rounding_is_said(tmp_path):
    path = write_legacy(tmp_path / "w.h5", {"d": {"kernel": np.full((4, 3), 0.1), "bias": numbers(3)}})
    loaded = load_keras_weights(Sequential(Linear(4, 3), input_shape=(None, 4)), path)
    assert loaded.warnings == ("rounded from float64 to float32: 0",)


# --- layouts that no other test has -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6,), (1, 1, 6), (6, 1, 1), (1, 6)])
def test_slopes_lose_and_gain_axes_of_one(tmp_path, shape):
    path = write_legacy(tmp_path / "w.h5", {"p": {"alpha": numbers(shape)}})
    model = Sequential(PReLU((6, 1, 1)), input_shape=(None, 6, 2, 2))
    load_keras_weights(model, path)
    np.testing.assert_array_equal(model.state_dict()["0.weight"].ravel(), numbers(shape).ravel())


def test_slopes_of_cells_are_put_in_order_unless_no_shape_tells_it(tmp_path):
    path = write_legacy(tmp_path / "w.h5", {"p": {"alpha": numbers((2, 3, 4))}})
    model = Sequential(PReLU((4, 2, 3)), input_shape=(None, 4, 2, 3))
    load_keras_weights(model, path)
    np.testing.assert_array_equal(model.state_dict()["0.weight"], numbers((2, 3, 4)).transpose(2, 0, 1))
    cube = Sequential(PReLU((3, 3, 3)), input_shape=(None, 3, 3, 3))
    with pytest.raises(WeightsMismatchError, match="several axes of one size, whose order no shape tells"):
        load_keras_weights(cube, path)


def test_the_two_biases_of_cudnn_are_added_where_the_module_has_one(tmp_path):
    arrays = layer(0, kernel=(4, 12), recurrent_kernel=(3, 12), bias=(24,))
    path = write_legacy(tmp_path / "w.h5", {"lstm": arrays})
    model = Sequential(LSTM(4, 3), input_shape=(None, 5, 4))
    load_keras_weights(model, path)
    np.testing.assert_array_equal(model.state_dict()["0.bias_ih"], arrays["bias"][:12] + arrays["bias"][12:])


def test_both_kernels_of_a_separable_convolution_are_found(tmp_path):
    first, second, bias = numbers((3, 3, 2, 2)), numbers((1, 1, 4, 5), 1), numbers(5, 2)
    legacy = write_legacy(
        tmp_path / "w.h5", {"sep": {"depthwise_kernel": first, "pointwise_kernel": second, "bias": bias}}
    )
    v3 = write_v3(tmp_path / "w.weights.h5", {"layers/separable_conv2d": [first, second, bias]})
    for path in (legacy, v3):
        model = Sequential(Conv2d(2, 4, 3, groups=2, use_bias=False), Conv2d(4, 5, 1), input_shape=(None, 2, 9, 9))
        load_keras_weights(model, path)
        state = model.state_dict()
        np.testing.assert_array_equal(state["0.weight"][:, 0], first.transpose(2, 3, 0, 1).reshape(4, 3, 3))
        np.testing.assert_array_equal(state["1.weight"], second.transpose(3, 2, 0, 1))
