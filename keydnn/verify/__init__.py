"""Proof that a conversion is right: layer by layer, with and without Keras.

::

    rows.py        what a comparison says about each layer
    recorder/      a program that runs where Keras is, and records what every layer gives
    record.py      starts it
    recording.py   reads what it wrote
"""
