"""Kernels on the blocked layout: channels in blocks of LANES, a vector holds one pixel of one block.

A value (N, C, H, W) lies in the arena, the one float32 array of a plan, as (N, blocks, rows, columns, LANES): the
layout that others call NCHWc.  Lanes beyond the last channel hold anything.  A value may have a halo of zeros around
each plane, which convolutions read instead of padding.  The strides are arguments, so that a value may also lie inside
another one (a concatenation), and values of one pixel lie as (blocks, N, LANES).

Every kernel takes an int64 description (``FIELDS`` names its numbers), weights, and the arena.
"""
