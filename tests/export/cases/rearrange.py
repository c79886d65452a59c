"""Axes added, dropped, repeated and split, patches of images."""

from keydnn.modules import DepthToSpace, Expand, Patches, Roll, SpaceToDepth, Squeeze, Tile, Unsqueeze
from tests.export.case import Case, numbers

X = numbers(2, 3, 4, 5)
IMAGE, VOLUME = numbers(2, 7, 6, 3), numbers(2, 4, 5, 6, 2)

CASES = {
    "squeeze": Case(Squeeze(1), (X[:, :1],)),
    "squeeze several": Case(Squeeze((1, 3)), (X[:, :1, :, :1],)),
    "unsqueeze": Case(Unsqueeze(4), (X,)),
    "unsqueeze several": Case(Unsqueeze((1, 3)), (X,)),
    "unsqueeze, rank 1": Case(Unsqueeze((1, 2)), (numbers(4),)),
    "expand": Case(Expand((3, 6, 5)), (X[:, :, :1],)),
    "expand nothing": Case(Expand((3, 4, 5)), (X,)),
    "tile": Case(Tile((2, 1, 3)), (X,)),
    "roll": Case(Roll(1, 2), (X,)),
    "roll back": Case(Roll(-2, 3), (X,)),
    "roll several": Case(Roll((7, -1, 1), (1, 3, 3)), (X,)),
    "depth to space": Case(DepthToSpace(2), (numbers(2, 3, 2, 12),)),
    "depth to space, of three": Case(DepthToSpace(3), (numbers(1, 2, 2, 9),)),
    "space to depth": Case(SpaceToDepth(2), (numbers(2, 6, 4, 3),)),
    "space to depth, of three": Case(SpaceToDepth(3), (numbers(1, 3, 6, 2),)),
    "patches": Case(Patches(2), (IMAGE,)),
    "patches, stride": Case(Patches((3, 2), (2, 3)), (IMAGE,)),
    "patches, dilated": Case(Patches((2, 3), 1, 0, (3, 2)), (IMAGE,)),
    "patches, same": Case(Patches(2, 1, "same"), (IMAGE,)),
    "patches, same, stride, dilated": Case(Patches((3, 4), (2, 3), "same", (2, 1)), (IMAGE,)),
    "patches, padded": Case(Patches(3, 2, ((1, 0), (0, 2))), (IMAGE,)),
    "patches of volumes": Case(Patches((2, 3, 2), (1, 2, 3)), (VOLUME,)),
    "patches of volumes, same": Case(Patches((3, 2, 2), (2, 1, 1), "same"), (VOLUME,)),
}
