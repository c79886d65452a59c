"""Embedding against NumPy's indexing."""

from __future__ import annotations

import re

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn import Model
from keydnn.errors import MissingWeightsError, ParameterError, ShapeError
from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules import Embedding
from tests.properties import assert_any_thread_count


def table(rows, size):
    return np.random.default_rng(0).standard_normal((rows, size)).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_rows_are_copied_for_ids_of_any_shape(data):
    rows, size = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 9))
    negative = data.draw(st.booleans())
    shape = tuple(data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=4)))
    ids = np.random.default_rng(data.draw(st.integers(0, 99))).integers(-rows if negative else 0, rows, shape)
    module = Embedding(rows, size, negative, weight=table(rows, size))
    found = module(ids)
    assert found.dtype == np.float32
    assert found.shape == module.output_shape(shape)
    np.testing.assert_array_equal(found, module.weight[ids])


def test_a_fraction_is_cut_off_as_keras_casts():
    module = Embedding(5, 2, weight=table(5, 2))
    np.testing.assert_array_equal(module([[-0.9, 1.9, 4.99]]), module.weight[[[0, 1, 4]]])


@pytest.mark.parametrize(
    ("negative", "wrong"),
    [
        (False, 5),
        (False, -1),
        (False, np.nan),
        (False, np.inf),
        (True, 5),
        (True, -6),
        (True, -np.inf),
        (True, 2.0**40),
    ],
)
def test_an_id_without_a_row_is_refused_and_named(negative, wrong):
    module = Embedding(5, 2, negative, weight=table(5, 2))
    message = f"takes ids from {-5 if negative else 0} to 4, got {wrong:.9g}"
    with pytest.raises(ShapeError, match=re.escape(message)):
        module(np.array([[0, 1, wrong, 99]]))


def test_no_id_is_rounded_into_the_largest_table():
    """Ids are float32; the largest table is so small that no id beyond it is rounded to one of its rows."""
    module = Embedding(1 << 24, 1, True, weight=np.zeros((1 << 24, 1), np.float32))
    assert module([(1 << 24) - 1, -(1 << 24)]).shape == (2, 1)
    for wrong in (1 << 24, (1 << 24) + 1, (1 << 53) + 1, -(1 << 24) - 2):
        with pytest.raises(ShapeError, match="takes ids from -16777216 to 16777215"):
            module(np.array([wrong]))


def test_the_plan_names_the_layer_of_a_wrong_id():
    node = Node("words", Embedding(5, 2, weight=table(5, 2)), ("ids",))
    model = Model(Graph([Input("ids", (None, None))], [node], [Output("words", "words")]))
    np.testing.assert_array_equal(model([[1, 4]]), node.module.weight[[[1, 4]]])
    for call in (model, lambda x: model.graph.forward([x])):
        with pytest.raises(ShapeError, match=r"node 'words': Embedding\(.*\) takes ids from 0 to 4, got 7"):
            call([[1, 7]])


def test_any_thread_count_gives_the_same_bits():
    ids = np.random.default_rng(1).integers(0, 50, (40, 30))
    assert_any_thread_count(Embedding(50, 33, weight=table(50, 33)), ids)


@pytest.mark.parametrize("arguments", [(0, 1), (1, 0), ((1 << 24) + 1, 1), (1, 1, 1), (1.5, 2)])
def test_bad_parameters_are_refused_by_name(arguments):
    with pytest.raises(ParameterError, match=r"num_embeddings|embedding_dim|negative_ids"):
        Embedding(*arguments)


def test_a_table_of_another_shape_or_none_is_refused():
    with pytest.raises(ShapeError, match="weight"):
        Embedding(3, 2, weight=np.zeros((2, 3)))
    with pytest.raises(MissingWeightsError, match="weight"):
        Embedding(3, 2)([0])
