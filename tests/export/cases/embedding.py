"""Rows of a table."""

import numpy as np

from keydnn.modules import Embedding
from tests.export.case import Case, filled

IDS = np.array([[0, 6, 3], [2.75, 5, 0.5]], np.float32)  # a fraction is cut off

CASES = {
    "ids": Case(filled(Embedding(7, 4)), (IDS,)),
    "an id each": Case(filled(Embedding(7, 4)), (IDS[0],)),
    "negative ids": Case(filled(Embedding(7, 4, True)), (IDS - np.float32([[0, 7, 0], [0, 6, 0]]),)),
}
