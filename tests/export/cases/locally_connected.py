"""Convolutions whose weights differ from place to place."""

from keydnn.modules import LocallyConnected1d, LocallyConnected2d
from tests.export.case import Case, filled, numbers

X, IMAGE = numbers(2, 3, 7), numbers(2, 3, 6, 5)

CASES = {
    "sequence": Case(filled(LocallyConnected1d(3, 4, 3, 5)), (X,)),
    "sequence, stride, no bias": Case(filled(LocallyConnected1d(3, 4, 2, 3, 2, use_bias=False)), (X,)),
    "sequence, padded": Case(filled(LocallyConnected1d(3, 2, 3, 8, 1, ((2, 1),))), (X,)),
    "image": Case(filled(LocallyConnected2d(3, 4, (3, 2), (4, 4))), (IMAGE,)),
    "image, stride": Case(filled(LocallyConnected2d(3, 4, (2, 3), (3, 3), (2, 1))), (IMAGE,)),
    "image, padded, no bias": Case(
        filled(LocallyConnected2d(3, 2, 3, (5, 6), 1, ((1, 0), (1, 2)), use_bias=False)), (IMAGE,)
    ),
    "image, one window": Case(filled(LocallyConnected2d(3, 2, (6, 5), 1)), (IMAGE,)),
}
