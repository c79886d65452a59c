"""Categories."""

import numpy as np

from keydnn.modules import Bucketize, Count, MultiHot, OneHot, WeightedCount
from tests.export.case import Case, numbers

IDS = np.float32([[0, 3, 3, 1], [4, 2.9, 0.5, 4]])
BEYOND = np.float32([[0, 9, 5, 1], [1e9, 2, 4, 4]])
BATCH = np.stack([IDS, IDS[:, ::-1], np.zeros_like(IDS)], axis=1)
ENDS = np.float32([[-2, -1, -0.5], [0.25, 0.5, 7], [np.nan, np.inf, -np.inf]])

CASES = {
    "one hot": Case(OneHot(5), (IDS,)),
    "one hot, strict": Case(OneHot(5, strict=True), (IDS,)),
    "one hot of one id": Case(OneHot(5), (IDS[:, 0],)),
    "one hot beyond the classes": Case(OneHot(5), (np.float32([[-1, -5, -0.5], [5, 1e9, 4]]),)),
    "multi hot": Case(MultiHot(5), (IDS,)),
    "multi hot, strict": Case(MultiHot(5, strict=True), (IDS,)),
    "multi hot beyond the classes": Case(MultiHot(5), (BEYOND,)),
    "multi hot, rank 3": Case(MultiHot(6), (BATCH,)),
    "count": Case(Count(5), (IDS,)),
    "count, strict": Case(Count(5, strict=True), (IDS,)),
    "count beyond the classes": Case(Count(5), (BEYOND,)),
    "count, rank 3": Case(Count(6), (BATCH,)),
    "weights": Case(WeightedCount(5), (IDS, numbers(2, 4))),
    "weights, strict": Case(WeightedCount(5, strict=True), (IDS, numbers(2, 4))),
    "weights beyond the classes": Case(WeightedCount(5), (BEYOND, numbers(2, 4))),
    "weights, rank 3": Case(WeightedCount(6), (BATCH, numbers(2, 3, 4))),
    "buckets": Case(Bucketize((-1, 0.25, 0.5, 0.5, 7)), (ENDS,)),
    "one boundary": Case(Bucketize((0,)), (ENDS[:, 0],)),
    "no boundaries": Case(Bucketize(()), (ENDS,)),
}
