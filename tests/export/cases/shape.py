"""Moves of memory."""

from keydnn.modules import (
    Crop1d,
    Crop2d,
    Crop3d,
    Flatten,
    Permute,
    RepeatInterleave,
    Reshape,
    ZeroPad1d,
    ZeroPad2d,
    ZeroPad3d,
)
from tests.export.case import Case, numbers

IMAGE, SEQUENCE, VOLUME = numbers(2, 3, 7, 8), numbers(2, 3, 9), numbers(2, 3, 5, 6, 4)

CASES = {
    "flatten": Case(Flatten(), (IMAGE,)),
    "flatten, rank 1": Case(Flatten(), (numbers(4),)),
    "reshape": Case(Reshape((4, 6, 7)), (IMAGE,)),
    "reshape, what is left": Case(Reshape((6, -1)), (IMAGE,)),
    "permute": Case(Permute((0, 2, 3, 1)), (IMAGE,)),
    "permute, rank 3": Case(Permute((0, 2, 1)), (SEQUENCE,)),
    "repeat": Case(RepeatInterleave(3), (SEQUENCE,)),
    "repeat, an axis within": Case(RepeatInterleave(2, 1), (IMAGE,)),
    "pad 1d": Case(ZeroPad1d(((2, 1),)), (SEQUENCE,)),
    "pad 2d": Case(ZeroPad2d(((0, 1), (2, 3))), (IMAGE,)),
    "pad 3d": Case(ZeroPad3d(((0, 1), (2, 3), (1, 0))), (VOLUME,)),
    "crop 1d": Case(Crop1d(((2, 1),)), (SEQUENCE,)),
    "crop 2d": Case(Crop2d(((0, 1), (2, 0))), (IMAGE,)),
    "crop 3d": Case(Crop3d(((0, 1), (2, 3), (1, 0))), (VOLUME,)),
}
