"""Sequences as batches of steps and back, and backwards."""

from keydnn.modules import Flip, FoldTime, UnfoldTime
from tests.export.case import Case, numbers

CASES = {
    "fold": Case(FoldTime(), (numbers(2, 3, 4, 5),)),
    "fold, rank 2": Case(FoldTime(), (numbers(2, 3),)),
    "unfold": Case(UnfoldTime(), (numbers(6, 4, 5), numbers(2, 3))),
    "flip": Case(Flip(1), (numbers(2, 3, 4),)),
    "flip, the last axis": Case(Flip(2), (numbers(2, 3, 4),)),
}
