"""Sums of products of an input and a weight."""

from keydnn.modules import Einsum
from tests.export.case import Case, filled, numbers

X, Y = numbers(2, 3, 4), numbers(2, 3, 4, 5)

CASES = {
    "last axis": Case(filled(Einsum("abc,cd->abd", (4, 5))), (X,)),
    "last axis to two": Case(filled(Einsum("abc,cde->abde", (4, 2, 5))), (X,)),
    "two axes": Case(filled(Einsum("abcd,cde->abe", (4, 5, 2))), (Y,)),
    "axis between": Case(filled(Einsum("abc,bd->adc", (3, 5))), (X,)),
    "an axis that stays": Case(filled(Einsum("abc,bcd->abd", (3, 4, 5))), (X,)),
    "weights of an axis, no sum": Case(filled(Einsum("abc,bd->abcd", (3, 2))), (X,)),
    "element by element": Case(filled(Einsum("abc,cb->abc", (4, 3))), (X,)),
    "axes in another order": Case(filled(Einsum("abcd,dec->aeb", (5, 2, 4))), (Y,)),
    "a sum of the input alone": Case(filled(Einsum("abc,bd->ad", (3, 5))), (X,)),
    "capital letters": Case(filled(Einsum("aBc,cD->aBD", (4, 2))), (X,)),
}
