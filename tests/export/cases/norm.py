"""Normalisation."""

from keydnn.modules import BatchNorm1d, BatchNorm2d, BatchNorm3d, GroupNorm, LayerNorm, RMSNorm, UnitNorm
from tests.export.case import Case, filled, numbers

CASES = {
    "batch, rank 2": Case(filled(BatchNorm1d(5, 1e-3)), (numbers(4, 5),)),
    "batch, rank 3": Case(filled(BatchNorm1d(5, 1e-3)), (numbers(4, 5, 6),)),
    "batch, rank 4": Case(filled(BatchNorm2d(5, 1e-3)), (numbers(2, 5, 4, 6),)),
    "batch, rank 5": Case(filled(BatchNorm3d(5, 1e-3)), (numbers(2, 5, 4, 3, 2),)),
    "batch without weight": Case(filled(BatchNorm2d(5, use_weight=False)), (numbers(2, 5, 4, 6),)),
    "batch without bias": Case(filled(BatchNorm2d(5, use_bias=False)), (numbers(2, 5, 4, 6),)),
    "batch without both": Case(filled(BatchNorm1d(5, 0.5, use_weight=False, use_bias=False)), (numbers(2, 5),)),
    "group": Case(filled(GroupNorm(2, 6, 1e-3)), (numbers(2, 6, 4, 5),)),
    "group, rank 2": Case(filled(GroupNorm(2, 6)), (numbers(3, 6),)),
    "group, rank 3, one group": Case(filled(GroupNorm(1, 6)), (numbers(2, 6, 5),)),
    "group, rank 5, a channel each": Case(filled(GroupNorm(6, 6)), (numbers(2, 6, 3, 2, 2),)),
    "group without weight": Case(filled(GroupNorm(2, 6, use_weight=False)), (numbers(2, 6, 4),)),
    "group without bias": Case(filled(GroupNorm(2, 6, use_bias=False)), (numbers(2, 6, 4),)),
    "group without both": Case(GroupNorm(2, 6, 0.5, use_weight=False, use_bias=False), (numbers(2, 6, 4),)),
    "layer": Case(filled(LayerNorm(6, 1e-3)), (numbers(2, 4, 6),)),
    "layer, rank 2": Case(filled(LayerNorm(6)), (numbers(3, 6),)),
    "layer, two axes": Case(filled(LayerNorm((4, 6), 0.5)), (numbers(2, 3, 4, 6),)),
    "layer without weight": Case(filled(LayerNorm(6, use_weight=False)), (numbers(2, 4, 6),)),
    "layer without bias": Case(filled(LayerNorm(6, use_bias=False)), (numbers(2, 4, 6),)),
    "layer without both": Case(LayerNorm(6, use_weight=False, use_bias=False), (numbers(2, 4, 6),)),
    "rms": Case(filled(RMSNorm(6, 1e-3)), (numbers(2, 4, 6),)),
    "rms, two axes": Case(filled(RMSNorm((4, 6))), (numbers(2, 3, 4, 6),)),
    "rms without weight": Case(RMSNorm(6, 0.5, use_weight=False), (numbers(2, 4, 6),)),
    "rms, centered": Case(filled(RMSNorm(6, centered=True)), (numbers(2, 4, 6) + 1,)),
    "unit": Case(UnitNorm(), (numbers(2, 4, 6),)),
    "unit, two axes": Case(UnitNorm(-2), (numbers(2, 3, 4, 6),)),
    "unit, from an axis on": Case(UnitNorm(1, 1e-6), (numbers(2, 4, 6),)),
    "unit, least length": Case(UnitNorm(-1, 3.0), (numbers(2, 4, 6),)),
}
