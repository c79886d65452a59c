"""Proof that a conversion is right: layer by layer, with and without Keras.

::

    rows.py        what a comparison says about each layer
"""
