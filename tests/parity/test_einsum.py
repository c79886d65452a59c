"""EinsumDense against both Kerases."""

from __future__ import annotations

from functools import partial

import pytest

from tests.parity import cases
from tests.parity.cases import leaky
from tests.parity.kerases import Case, check, parameters

pytestmark = pytest.mark.parity

CASES: list[Case] = []
one = partial(cases.one, CASES)


def dense(what, equation, output_shape, *shapes, **options):
    one(what, "EinsumDense", *shapes, equation=equation, output_shape=output_shape, **options)


dense("rows", "ab,bc->ac", 5, (4,), bias_axes="c")
dense("no-bias", "ab,bc->ac", 5, (4,))
dense("steps", "abc,cd->abd", (None, 5), (3, 4), bias_axes="d")
dense("free-steps", "abc,cd->abd", (None, 5), (None, 4), bias_axes="d")
dense("two-free-axes", "abcd,de->abce", (None, None, 5), (None, None, 4), bias_axes="e")
dense("ellipsis-left", "...x,xy->...y", 5, (2, 3, 4), bias_axes="y")
dense("ellipsis-of-the-batch", "...x,xy->...y", 5, (4,), bias_axes="y")
dense("ellipsis-right", "ab...,bc->ac...", 5, (4, 3, 2), bias_axes="c")
dense("ellipsis-right-of-nothing", "ab...,bc->ac...", 5, (4,), bias_axes="c")
dense("to-heads", "abc,cde->abde", (None, 2, 5), (3, 4), bias_axes="de")
dense("to-heads-free", "abc,cde->abde", (None, 2, 5), (None, 4), bias_axes="de")
dense("to-heads-bias-of-one-axis", "abc,cde->abde", (None, 2, 5), (3, 4), bias_axes="e")
dense("to-heads-bias-of-the-first", "abc,cde->abde", (None, 2, 5), (3, 4), bias_axes="d")
dense("to-heads-kernel-turned", "abc,edc->abde", (None, 2, 5), (3, 4), bias_axes="de")
dense("from-heads", "abcd,cde->abe", (None, 5), (3, 2, 4), bias_axes="e")
dense("from-heads-free", "abcd,cde->abe", (None, 5), (None, 2, 4), bias_axes="e")
dense("two-free-axes-to-heads", "abcd,def->abcef", (None, None, 2, 3), (None, None, 4), bias_axes="ef")
dense("over-the-steps", "abc,bd->adc", (5, 4), (3, 4), bias_axes="d")
dense("over-the-steps-moved", "abc,bd->acd", (4, 5), (3, 4), bias_axes="d")
dense("all-axes", "abc,bcd->ad", 5, (3, 4), bias_axes="d")
dense("bias-of-a-kept-axis", "abc,cd->abd", (3, 5), (3, 4), bias_axes="b")
dense("bias-of-two-axes", "abc,cd->abd", (3, 5), (3, 4), bias_axes="bd")
dense("a-kernel-for-each-step", "abc,bcd->abd", (3, 5), (3, 4), bias_axes="bd")
dense("products-alone", "abc,bc->abc", (3, 4), (3, 4), bias_axes="c")
dense("no-sum", "ab,cd->acbd", (5, 4, 2), (4,))
dense("summed-away", "abc,bd->ad", 5, (3, 4))
dense("to-numbers", "abc,c->ab", 3, (3, 4), bias_axes="b")
dense("lora", "abc,cd->abd", (None, 5), (3, 4), kerases=("keras3",), lora_rank=2, lora_alpha=3)
dense("fused-relu", "abc,cd->abd", (None, 5), (3, 4), bias_axes="d", activation="relu")
dense("fused-softmax", "abc,cd->abd", (None, 5), (3, 4), bias_axes="d", activation="softmax")
dense("fused-object", "abc,cd->abd", (None, 5), (3, 4), bias_axes="d", activation=leaky)


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_einsum_dense_agrees_with_keras(case, name, source):
    check(case, name, source)
