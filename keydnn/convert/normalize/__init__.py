"""KerasModel to KerasModel, in explicit passes: one file a pass, run in the order of PASSES.

After them a model is flat, in today's spelling, and no layer holds another or hides an activation.
"""

from __future__ import annotations

from keydnn.convert.normalize import (
    activations,
    keras1,
    keras1_weights,
    lambdas,
    nesting,
    operations,
    spelling,
    theano,
    wrappers,
)
from keydnn.convert.normalize.notes import Notes
from keydnn.convert.read.record import KerasModel

PASSES = (
    keras1.modernize,
    keras1_weights.rearrange,
    wrappers.write_out,
    nesting.inline_models,
    lambdas.write_out,
    operations.rename_operations,
    spelling.modernize,
    theano.correlate,
    activations.unfuse,
)


def normalize(model: KerasModel, notes: Notes) -> KerasModel:
    """Run all passes; rewrites and obstacles are written into ``notes``."""
    for run in PASSES:
        model = run(model, notes)
    return model
