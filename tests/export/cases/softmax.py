"""Activations along one axis."""

from keydnn.modules import GLU, LogSoftmax, Softmax, Sparsemax
from tests.export.case import Case, numbers

X = numbers(2, 6, 4) * 2

CASES = {
    "softmax": Case(Softmax(), (X,)),
    "softmax, an axis within": Case(Softmax(1), (X,)),
    "log": Case(LogSoftmax(), (X,)),
    "log, an axis within": Case(LogSoftmax(1), (X,)),
    "sparsemax": Case(Sparsemax(), (X,)),
    "sparsemax, an axis within": Case(Sparsemax(1), (X,)),
    "sparsemax, Keras' running sums": Case(Sparsemax(-1, "cumulative"), (X,)),
    "glu": Case(GLU(), (X,)),
    "glu, an axis within": Case(GLU(1), (X,)),
}
