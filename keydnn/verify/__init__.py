"""Proof that a conversion is right: layer by layer, with and without Keras.

::

    rows.py          what a comparison says about each layer, and what it allows
    selfcheck.py     the check that a checkpoint carries: made, and replayed
    recorder/        a program that runs where Keras is, and records what every layer gives
    record.py        starts it
    recording.py     reads what it wrote
    comparison.py    a graph beside a recording        causes.py        why a layer differs
    fingerprints.py  weights, whatever their layout
    side_by_side.py  two graphs beside each other      sites.py, changes.py  what of them belongs together, and differs
"""
