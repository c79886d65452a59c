"""Attention against float64: heads, masks, what becomes of queries that see nothing, special values."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jit_kernels.attention import BLOCK, LINE
from keydnn import from_keras, reference
from keydnn.errors import KerasInteropError, MissingWeightsError, ParameterError, ShapeError
from keydnn.modules import (
    AdditiveScores,
    AttentionOutput,
    AttentionScores,
    MaskedSoftmax,
    ScaledDotProductAttention,
)
from keydnn.reference import exact
from keydnn.reference.attention import attention_output, attention_scores, masked_softmax
from tests.convert import files
from tests.properties import assert_any_thread_count
from tests.within import assert_informative, assert_within


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def some(seed, *shape):
    """Give a random mask."""
    return (np.random.default_rng(seed).random(shape) < 0.6).astype(np.float32)


def check(module, *inputs, relative=1e-3):
    wanted = reference.RULES[type(module).__name__](module, *map(exact, inputs))
    assert_informative(wanted, relative)
    found = module(*inputs)
    assert found.dtype == np.float32
    assert found.shape == module.output_shape(*(x.shape for x in inputs))
    assert_within(found, wanted.value, wanted.error)
    return found


MASK_SHAPES = {
    "none": None,
    "keys": ("N", 1, "S"),
    "queries": ("N", "T", 1),
    "both": (1, "T", "S"),
    "heads": ("N", "H", "T", "S"),
}


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_attention_agrees_with_float64_for_any_sizes_and_masks(data):
    few, each = data.draw(st.integers(1, 3), "few"), data.draw(st.integers(1, 3), "each")
    batch, queries, keys = (data.draw(st.integers(*bounds)) for bounds in ((0, 3), (0, 70), (1, 140)))
    size, value_size = data.draw(st.integers(1, 40), "size"), data.draw(st.integers(1, 40), "value size")
    shape = MASK_SHAPES[data.draw(st.sampled_from(sorted(MASK_SHAPES)), "mask")]
    module = ScaledDotProductAttention(
        few * each,
        few,
        data.draw(st.sampled_from([None, 0.5, -0.3]), "scale"),
        data.draw(st.booleans(), "causal"),
        data.draw(st.sampled_from([None, 1, 7, 80]), "window"),
        shape is not None,
        data.draw(st.sampled_from(["add", "replace", "zero"]), "masking"),
    )
    scale = size**-0.5 / 2  # scores that are lost in 1e9
    inputs = [
        random(0, batch, queries, few * each * size) * scale,
        random(1, batch, keys, few * size),
        2 + random(2, batch, keys, few * value_size),  # whose means are not near 0
    ]
    if shape is not None:
        sizes = {"N": batch, "H": few * each, "T": queries, "S": keys}
        inputs.append(some(3, *(sizes.get(size, size) for size in shape)))
    check(module, *inputs)


@pytest.mark.parametrize("keys", [LINE - 1, LINE, LINE + 1, 2 * LINE, 3 * LINE - 20])
@pytest.mark.parametrize("queries", [1, BLOCK, 2 * BLOCK + 1])
def test_attention_at_the_edges_of_blocks(queries, keys):
    q, k, v = random(0, 1, queries, 32), random(1, 1, keys, 32), random(2, 1, keys, 34)
    for module in (ScaledDotProductAttention(2), ScaledDotProductAttention(2, is_causal=True, window=5)):
        check(module, q, k, v)


def test_so_many_keys_that_a_block_is_small():
    q, k, v = random(0, 1, 20, 3), random(1, 1, 7000, 3), random(2, 1, 7000, 3)
    check(ScaledDotProductAttention(1), q, k, v, relative=0.02)  # of a mean of 7000 values


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_the_steps_agree_with_float64(data):
    few, each = data.draw(st.integers(1, 3)), data.draw(st.sampled_from([None, 1, 2]))
    count = few * (each or 1)
    few = few if each else count
    batch, queries, keys = (data.draw(st.integers(*bounds)) for bounds in ((1, 2), (1, 40), (1, 90)))
    q, k = random(0, batch, queries, 5 * count), random(1, batch, keys, 5 * few)
    scores = check(AttentionScores(count, few, 0.3), q, k)
    has_mask = data.draw(st.booleans())
    module = MaskedSoftmax(
        data.draw(st.booleans()),
        data.draw(st.sampled_from([None, 3])),
        has_mask,
        data.draw(st.sampled_from(["add", "replace", "zero"])),
    )
    weights = check(module, scores, *([some(2, batch, 1, keys)] if has_mask else []))
    check(AttentionOutput(few), weights, 2 + random(3, batch, keys, 7 * few))


def test_the_steps_without_an_axis_of_heads():
    q, k, v = random(0, 2, 5, 8), random(1, 2, 6, 8), random(2, 2, 6, 3)
    mask = some(3, 2, 1, 6)
    scores = check(AttentionScores(scale=0.7), q, k)
    assert scores.shape == (2, 5, 6)
    weights = check(MaskedSoftmax(has_mask=True), scores, mask)
    found = check(AttentionOutput(), weights, v)
    at_once = ScaledDotProductAttention(1, scale=0.7, has_mask=True)(q, k, v, mask)
    np.testing.assert_allclose(found, at_once, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("features", [1, 5, 256, 300])
@pytest.mark.parametrize("scale", [1.0, -0.4])
def test_additive_scores_agree_with_float64(features, scale):
    module = AdditiveScores(features, scale, weight=random(0, features))
    check(module, random(1, 2, 3, features), random(2, 2, 7, features))


# --- queries that see nothing -----------------------------------------------------------------------------------------


def hidden(masking, q_scale=1.0, **options):
    """Give the result for a batch of two, of which the second sees no key."""
    q, k, v = q_scale * random(0, 2, 3, 4), random(1, 2, 5, 4), random(2, 2, 5, 4)
    mask = np.stack([np.ones((1, 5)), np.zeros((1, 5))])
    module = ScaledDotProductAttention(2, has_mask=True, masking=masking, **options)
    return module(q, k, v, mask), v


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("masking", ["add", "replace"])
def test_a_query_that_sees_nothing_gets_the_mean_of_all_values(masking, is_causal):
    found, v = hidden(masking, is_causal=is_causal)
    np.testing.assert_allclose(found[1], np.tile(v[1].mean(0), (3, 1)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("is_causal", [False, True])
def test_a_query_that_sees_nothing_gets_zeros_where_shares_are_set_to_zero(is_causal):
    found, _ = hidden("zero", is_causal=is_causal)
    assert not found[1].any()
    assert found[0].any()


def test_scores_that_are_not_small_beside_the_rounding_of_1e9_count():
    """1e9 is so large that float32 keeps multiples of 64 of a score: the softmax is of these."""
    found, v = hidden("add", q_scale=1000.0)
    q, k = 1000 * random(0, 2, 3, 4), random(1, 2, 5, 4)
    scores = attention_scores(q, k, 2, 2, 0.5**0.5)[1:].astype(np.float32) + np.float32(-1e9)
    weights = masked_softmax(scores.astype(np.float64) + 1e9, np.array(True), 0)
    wanted = attention_output(weights, v[1:], 2)[0]
    assert np.abs(wanted - v[1].mean(0)).max() > 0.1
    np.testing.assert_allclose(found[1], wanted, rtol=1e-5, atol=1e-6)


def test_replaced_scores_do_not_count_at_all():
    found, v = hidden("replace", q_scale=1000.0, mask_value=-2e38)
    np.testing.assert_allclose(found[1], np.tile(v[1].mean(0), (3, 1)), rtol=1e-5, atol=1e-6)


def test_a_hidden_score_above_all_others_has_no_share():
    q, k = np.full((1, 1, 1), 10.0), np.array([[[1.0], [9.0], [2.0]]])
    found = ScaledDotProductAttention(1, has_mask=True)(q, k, k, np.array([[[1, 0, 1]]]))
    assert found[0, 0, 0] == pytest.approx(2.0, rel=1e-4)


# --- special values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_causal", [False, True])
@pytest.mark.parametrize("which", ["key", "value"])
def test_nan_comes_through_wherever_it_is_as_in_keras(which, is_causal):
    """A share of zero times NaN is NaN, and so it is for queries that do not see the key."""
    q, k, v = random(0, 2, 100, 4), random(1, 2, 100, 4), random(2, 2, 100, 4)
    (k if which == "key" else v)[0, 70] = np.nan
    found = ScaledDotProductAttention(2, is_causal=is_causal)(q, k, v)
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()


def test_nan_of_a_query_is_its_own():
    q, k = random(0, 1, 40, 4), random(1, 1, 9, 4)
    q[0, 3, 0] = np.nan
    found = ScaledDotProductAttention(2)(q, k, k)
    assert np.isnan(found[0, 3, :2]).all()
    found[0, 3, :2] = 0
    assert np.isfinite(found).all()


def test_an_infinite_score_gives_nan_as_in_keras():
    found = ScaledDotProductAttention(1)(np.ones((1, 1, 1)), [[[np.inf], [1.0]]], [[[1.0], [2.0]]])
    assert np.isnan(found).all()


# --- bits, shapes, arguments ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_causal", [False, True])
def test_any_thread_count_gives_the_same_bits(is_causal):
    q, k, v = random(0, 3, 90, 24), random(1, 3, 75, 24), random(2, 3, 75, 24)
    mask = some(3, 3, 1, 75)
    module = ScaledDotProductAttention(3, is_causal=is_causal, has_mask=True)
    assert_any_thread_count(module, q, k, v, mask)
    scores = AttentionScores(3)(q, k)
    assert_any_thread_count(AttentionScores(3), q, k)
    assert_any_thread_count(MaskedSoftmax(is_causal, has_mask=True), scores, mask)
    assert_any_thread_count(AttentionOutput(3), scores, v)
    assert_any_thread_count(AdditiveScores(24, weight=random(4, 24)), q, k)


def test_a_result_does_not_depend_on_the_rest_of_the_batch():
    q, k, v = random(0, 3, 40, 8), random(1, 3, 50, 8), random(2, 3, 50, 8)
    module = ScaledDotProductAttention(2)
    np.testing.assert_array_equal(module(q, k, v)[1:2], module(q[1:2], k[1:2], v[1:2]))


def test_free_sizes():
    module = ScaledDotProductAttention(4, 2, has_mask=True)
    shapes = (None, None, 16), (None, None, 8), (None, None, 6), (None, 1, None)
    assert module.output_shape(*shapes) == (None, None, 12)
    assert module.macs((2, 3, 16), (2, 5, 8), (2, 5, 6), (2, 1, 5)) == 2 * 4 * 3 * 5 * (4 + 3)
    assert AttentionScores(2).output_shape((None, 3, 4), (None, None, 4)) == (None, 2, 3, None)
    assert AttentionOutput().output_shape((None, None, 3), (None, 3, None)) == (None, None, None)


@pytest.mark.parametrize(
    ("module", "shapes", "message"),
    [
        (ScaledDotProductAttention(2), [(1, 3, 4), (1, 3, 4)], "takes 3 inputs, got 2"),
        (ScaledDotProductAttention(2, has_mask=True), [(1, 3, 4)] * 3, "takes 4 inputs, got 3"),
        (ScaledDotProductAttention(2), [(1, 3, 5), (1, 3, 4), (1, 3, 4)], "queries (N, T, 2 * size), got (1, 3, 5)"),
        (ScaledDotProductAttention(2), [(1, 3, 4), (1, 3, 6), (1, 3, 4)], "heads of one size, got (1, 3, 4)"),
        (ScaledDotProductAttention(2), [(2, 3, 4), (1, 3, 4), (1, 3, 4)], "with inputs (2, 3, 4)"),
        (ScaledDotProductAttention(2), [(1, 3, 4), (1, 3, 4), (1, 2, 4)], "with inputs (1, 3, 4) and (1, 2, 4)"),
        (ScaledDotProductAttention(2), [(1, 3, 4), (1, 0, 4), (1, 0, 4)], "at least one key"),
        (ScaledDotProductAttention(2), [(1, 3, 4, 1), (1, 3, 4), (1, 3, 4)], "of queries"),
        (ScaledDotProductAttention(2), [(1, 3, 4), (1, 3, 4), (1, 3, 3)], "values (N, T, 2 * size)"),
        (ScaledDotProductAttention(2, has_mask=True), [(1, 3, 4)] * 3 + [(1, 3)], "takes a mask (N, T, S)"),
        (ScaledDotProductAttention(2, has_mask=True), [(1, 3, 4)] * 3 + [(1, 2, 3)], "takes a mask (N, T, S)"),
        (ScaledDotProductAttention(2, has_mask=True), [(1, 3, 4)] * 3 + [(1, 3, 1, 3)], "takes a mask (N, T, S)"),
        (MaskedSoftmax(), [(1, 3)], "takes scores (N, T, S)"),
        (MaskedSoftmax(), [(1, 3, 0)], "takes scores (N, T, S)"),
        (MaskedSoftmax(has_mask=True), [(1, 3, 4), (2, 3, 4)], "takes a mask"),
        (AttentionOutput(2), [(1, 3, 2, 2), (1, 2, 4)], "weights of a multiple of its heads"),
        (AttentionOutput(), [(1, 3), (1, 2, 4)], "takes weights"),
        (AttentionOutput(), [(1, 3, 2), (1, 3, 4)], "cannot go with inputs"),
        (AttentionOutput(), [(1, 3, 0), (1, 0, 4)], "at least one value"),
        (AdditiveScores(4, weight=np.ones(4)), [(1, 3, 4), (1, 3, 5)], "heads of one size"),
        (AdditiveScores(4, weight=np.ones(4)), [(1, 3, 5), (1, 3, 5)], "takes an input (N, T, 4)"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit_never_reach_a_kernel(module, shapes, message):
    with pytest.raises(ShapeError, match=re.escape(message)):
        module(*(np.zeros(shape, np.float32) for shape in shapes))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: ScaledDotProductAttention(0), "num_heads"),
        (lambda: ScaledDotProductAttention(4, 3), "num_key_value_heads"),
        (lambda: ScaledDotProductAttention(4, scale=np.inf), "scale"),
        (lambda: ScaledDotProductAttention(4, is_causal=1), "is_causal"),
        (lambda: ScaledDotProductAttention(4, window=0), "window"),
        (lambda: ScaledDotProductAttention(4, masking="drop"), "masking"),
        (lambda: ScaledDotProductAttention(4, mask_value=None), "mask_value"),
        (lambda: MaskedSoftmax(has_mask=None), "has_mask"),
        (lambda: AttentionScores(2, 4), "num_key_value_heads"),
        (lambda: AttentionOutput(0), "num_key_value_heads"),
        (lambda: AdditiveScores(0), "features"),
    ],
)
def test_bad_parameters_are_refused_by_name(make, name):
    with pytest.raises(ParameterError, match=name):
        make()


def test_additive_scores_need_their_weight():
    with pytest.raises(MissingWeightsError, match="weight"):
        AdditiveScores(3)(np.zeros((1, 1, 3)), np.zeros((1, 1, 3)))


# --- by the version of Keras that wrote the file ----------------------------------------------------------------------


def convert(tmp_path, version, class_name, config, masked=False, **call):
    """Convert a layer called with a sequence and itself, maybe of embedded ids; give the module that has the masks."""
    first, given = ([None, 5], ["e", 0, 0]) if masked else ([None, 5, 4], ["x", 0, 0])
    tensor = {"class_name": "__keras_tensor__", "config": {"keras_history": given}}
    node = [[*given, {"value": given, **call}]]
    if class_name == "Attention":
        node = [[*given, call], [*given, {}]]
    elif version.startswith("3"):
        node = {"args": [tensor, tensor], "kwargs": call}
    found = {"x": ("InputLayer", {"batch_input_shape": first}, [])}
    weights = {"x": {}}
    if masked:
        found["e"] = ("Embedding", {"input_dim": 9, "output_dim": 4, "mask_zero": True}, [[["x", 0, 0, {}]]])
        weights["e"] = {"embeddings:0": random(0, 9, 4)}
    found["a"] = (class_name, config, [node])
    shapes = {"query": (4, 2, 3), "key": (4, 2, 3), "value": (4, 2, 3), "attention_output": (2, 3, 4)}
    shapes = {} if class_name == "Attention" else shapes
    weights["a"] = {f"{part}/kernel:0": random(1, *shape) for part, shape in shapes.items()}
    layers = [
        {
            "class_name": kind,
            "name": name,
            "config": {"name": name, "trainable": True, **options},
            "inbound_nodes": nodes,
        }
        for name, (kind, options, nodes) in found.items()
    ]
    model = {"name": "m", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["a", 0, 0]]}
    path = tmp_path / "m.h5"
    files.write_h5(path, {"class_name": "Functional", "config": model}, weights, version)
    nodes = from_keras(path, strict=False).graph.nodes
    (node,) = (n for n in nodes if isinstance(n.module, (ScaledDotProductAttention, MaskedSoftmax)))
    return node.module


MHA = {"num_heads": 2, "key_dim": 3, "use_bias": False}
GQA = {"head_dim": 3, "num_query_heads": 2, "num_key_value_heads": 2, "use_bias": False}


@pytest.mark.parametrize(
    ("version", "class_name", "config", "masking", "value"),
    [
        ("2.4.0", "MultiHeadAttention", MHA, "add", -1e9),
        ("2.15.0", "MultiHeadAttention", MHA, "add", -1e9),
        ("2.16.0", "MultiHeadAttention", {**MHA, "softmax_robust_masking": True}, "replace", -1e9),
        ("3.0.5", "MultiHeadAttention", MHA, "add", -1e9),
        ("3.6.0", "MultiHeadAttention", MHA, "add", -1e9),
        ("3.7.0", "MultiHeadAttention", MHA, "replace", -0.7 * 3.38953e38),
        ("3.9.2", "MultiHeadAttention", {**MHA, "dropout": 0.1}, "add", -1e9),
        ("3.10.0", "MultiHeadAttention", {**MHA, "dropout": 0.1}, "zero", -1e9),
        ("3.15.0", "MultiHeadAttention", MHA, "replace", -0.7 * 3.38953e38),
        ("3.7.0", "GroupedQueryAttention", GQA, "add", -1e9),
        ("3.8.0", "GroupedQueryAttention", GQA, "replace", -0.7 * 3.38953e38),
        ("2.9.0", "Attention", {}, "add", -1e9),
    ],
)
def test_what_becomes_of_hidden_scores_follows_the_version(tmp_path, version, class_name, config, masking, value):
    module = convert(tmp_path, version, class_name, config)
    assert (module.masking, module.mask_value) == (masking, value)


@pytest.mark.parametrize(("version", "counts"), [("2.9.0", False), ("2.10.0", True), ("3.4.1", True)])
def test_masks_of_the_inputs_count_from_keras_2_10_on(tmp_path, version, counts):
    module = convert(tmp_path, version, "MultiHeadAttention", MHA, masked=True)
    assert module.has_mask == counts


def test_the_option_causal_of_keras_2_9(tmp_path):
    """Later versions of Keras do not write it."""
    assert convert(tmp_path, "2.9.0", "Attention", {"causal": True}).is_causal
    assert not convert(tmp_path, "2.9.0", "Attention", {"causal": False}).is_causal
    assert convert(tmp_path, "2.12.0", "Attention", {}, use_causal_mask=True).is_causal


@pytest.mark.parametrize(
    ("config", "call", "message"),
    [
        ({"num_heads": 0}, {}, "num_heads=0"),
        ({"attention_axes": [2]}, {}, r"attention_axes=\[2\]"),
        ({"attention_axes": "all"}, {}, "attention_axes='all'"),
        ({"output_shape": [2.5]}, {}, r"output_shape=\[2.5\]"),
        ({"dropout": 0.1}, {"training": True}, "training=True"),
        ({"temperature": 2}, {}, "temperature=2"),
        ({}, {"attention_bias": 1}, "attention_bias=1"),
    ],
)
def test_what_keras_does_not_write_is_refused_by_name(tmp_path, config, call, message):
    with pytest.raises(KerasInteropError, match=message):
        convert(tmp_path, "2.12.0", "MultiHeadAttention", {**MHA, **config}, **call)
