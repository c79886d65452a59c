"""Products of two inputs."""

from keydnn.modules import Contract
from tests.export.case import Case, numbers

X, Y = numbers(2, 3, 4), numbers(2, 4, 5, seed=1)
HEADS = numbers(2, 3, 4, 6), numbers(2, 3, 5, 6, seed=1)

CASES = {
    "matrices": Case(Contract("nij,njk->nik"), (X, Y)),
    "transposed": Case(Contract("nij,nkj->nki"), (X, numbers(2, 6, 4))),
    "heads": Case(Contract("nhij,nhkj->nhik"), HEADS),
    "heads of the first alone": Case(Contract("nhij,njk->nhik"), (HEADS[0], numbers(2, 6, 2))),
    "vectors": Case(Contract("ni,ni->n"), (numbers(2, 4), numbers(2, 4, seed=1))),
    "vectors, all products": Case(Contract("ni,nj->nij"), (numbers(2, 4), numbers(2, 5))),
    "all axes": Case(Contract("nij,nij->n"), (X, numbers(2, 3, 4, seed=1))),
    "element by element": Case(Contract("nij,nji->nij"), (X, numbers(2, 4, 3))),
    "no axis but the batch": Case(Contract("n,nij->nji"), (numbers(4), numbers(4, 3, 4))),
}
