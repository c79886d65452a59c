"""Recurrent layers in a plan: one matrix product for the inputs of all steps, then the recurrence."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from jit_kernels._simd import LANES
from jit_kernels._team import TEAM
from jit_kernels.blocked.recurrent import FIELDS, recurrence_f32
from jit_kernels.blocked.tile import tile_cycles, tile_shapes
from keydnn.modules.base import Array
from keydnn.modules.dense import Linear
from keydnn.modules.recurrent import GRU, LSTM, SimpleRNN, parameters_of, scalar_name
from keydnn.plan.conv import Convolution
from keydnn.plan.direct import DirectJob, Phase
from keydnn.plan.fuse import Unit
from keydnn.plan.planes import Planes
from keydnn.plan.step import PARALLEL_CYCLES, ImageSizes, Job, Launch, Need, aligned_copy, described
from keydnn.plan.values import Blocked, Storage

GATE_CYCLES = 1.0  # of one number of one gate
PARALLEL_STEP_CYCLES = 1000  # what parts that wait for each other must save in each step
Bounds = list[tuple[int, int]]


class Work(NamedTuple):
    """How a layer is computed for inputs of known sizes.

    Attributes
    ----------
    batch, steps
        Of the input.
    parts, coupled
        What the work is dealt out in: sequences, or the units of all sequences, if ``coupled``.
    tile
        Sequences and vectors of units of the micro-kernel.
    """

    batch: int
    steps: int
    parts: int
    coupled: bool
    tile: tuple[int, int]

    @property
    def unit_parts(self) -> int:
        """Parts of the units."""
        return self.parts if self.coupled else 1


class Projection(DirectJob):
    """A dense layer whose result lies row by row, not in blocks."""

    def _run(self, *_: Any) -> tuple[int, int, int]:
        return 1, 1, self.x[0]


class Recurrence:
    """A recurrent layer of a program: its weights, packed for each number of parts that share the units."""

    def __init__(self, unit: Unit) -> None:
        module: Any = unit.module
        self.module = module
        self.blocks = -(-module.hidden_size // LANES)
        self.wide = self.blocks * LANES
        self.row: int = module.gates * self.wide  # what a step of the input gives all gates
        self._projections: dict[int, Convolution] = {}
        self._packed: dict[tuple[int, int], tuple[Array, Bounds]] = {}

    # --- weights ------------------------------------------------------------------------------------------------------

    def bounds(self, parts: int) -> Bounds:
        """Give the first and last unit of each part, in whole blocks."""
        return list(itertools.pairwise(part * self.blocks // parts * LANES for part in range(parts + 1)))

    def _rows(self, rows: Array, first: int, last: int, gates: slice) -> Array:
        """Give the rows of some units and gates, gate after gate; zeros where there is no such unit."""
        module: Any = self.module
        each = rows.reshape(module.gates, module.hidden_size, *rows.shape[1:])[gates, first:last]
        wide = np.zeros((len(each), last - first, *rows.shape[1:]), np.float32)
        wide[:, : each.shape[1]] = each
        return wide.reshape(-1, *rows.shape[1:])

    def projection(self, parts: int) -> Convolution:
        """Give the dense layer of the inputs, whose rows lie part by part, gate by gate."""
        if parts not in self._projections:
            module = self.module
            weight, bias = (
                np.concatenate([self._rows(rows, *bounds, slice(None)) for bounds in self.bounds(parts)])
                for rows in (module.weight_ih, module.input_bias())
            )
            linear = Linear(module.input_size, self.row, weight=weight, bias=bias)
            self._projections[parts] = Convolution(Unit((), linear, (), 2))
        return self._projections[parts]

    def packed(self, nv: int, parts: int) -> tuple[Array, Bounds]:
        """Give the weight of the state in panels ``[k][nv][LANES]``, then n's bias; and where each part's begin."""
        if (nv, parts) not in self._packed:
            groups = (slice(2), slice(2, 3)) if isinstance(self.module, GRU) else (slice(None), slice(0))
            pieces: list[Array] = []
            starts = []
            for first, last in self.bounds(parts):
                for gates in groups:
                    starts.append(sum(piece.size for piece in pieces))
                    pieces.append(_panels(self._rows(self.module.weight_hh, first, last, gates), nv * LANES))
            pieces.append(self._rows(self.module.recurrent_bias(), 0, self.wide, slice(self.module.gates - 1, None)))
            places = list(zip(starts[::2], starts[1::2], strict=True))
            self._packed[nv, parts] = aligned_copy(np.concatenate(pieces)), places
        return self._packed[nv, parts]

    # --- work ---------------------------------------------------------------------------------------------------------

    def job(self, sizes: Sequence[ImageSizes], out: ImageSizes, examples: int, plain: bool, threads: int) -> Job | None:
        """Give the job for inputs of known sizes; as ``Step`` says.  Each step of a sequence is a row."""
        if 0 in out or self.module.elementwise is None:
            return None
        work = self._work(examples, sizes[0][0] // examples, threads)
        scratch = sizes[0][0] * self.row + examples * self._state_row(work) + TEAM + self.wide
        launches = partial(self._launches, work, out[0] // examples, threads)
        return Job(tuple(map(Need, sizes)), out, launches, scratch, "recurrent")

    def _work(self, batch: int, steps: int, threads: int) -> Work:
        """Deal the work out: sequences, or units where there are fewer sequences than threads."""
        tile, cycles = self._tile(batch, 1)
        if threads == 1 or steps * cycles < PARALLEL_CYCLES:
            return Work(batch, steps, 1, False, tile)
        if batch >= threads:
            return Work(batch, steps, threads, False, self._tile(-(-batch // threads), 1)[0])
        parts = min(threads, self.blocks)
        tile_of_part, cycles_of_part = self._tile(batch, parts)
        if cycles_of_part + PARALLEL_STEP_CYCLES < cycles:
            return Work(batch, steps, parts, True, tile_of_part)
        return Work(batch, steps, 1, False, tile)

    def _tile(self, rows: int, parts: int) -> tuple[tuple[int, int], float]:
        """Give the tile (MR, NV) with the fewest cycles for a step of some sequences and a part of the units."""
        size = self.module.hidden_size
        vectors = self.module.gates * -(-self.blocks // parts)

        def cycles(shape: tuple[int, int]) -> float:
            mr, nv = shape
            tiles = -(-rows // mr) * -(-vectors // nv)
            return float(tiles * (size * tile_cycles(mr, nv, size) + 2 * mr * nv + 20))

        best = min(tile_shapes(), key=cycles)
        return best, cycles(best) + GATE_CYCLES * rows * vectors * LANES

    def _state_row(self, work: Work) -> int:
        """Give the numbers of scratch memory of a sequence: h twice, c, the gates' sums, and a flag for each part."""
        flags = -(-work.parts // LANES) * LANES
        return int(3 * self.wide + self.row + flags)

    def _launches(
        self, work: Work, out_steps: int, threads: int, inputs: Sequence[Blocked], added: Blocked | None,
        out: Blocked, scratch: int,
    ) -> list[Launch]:  # fmt: skip
        """Give the kernel calls: the projection writes rows into scratch memory, and the recurrence reads them."""
        x, *others = inputs
        places = {"mask": others.pop(0) if self.module.has_mask else None}
        places |= {"h0": others[0], "c0": others[-1]} if others else {"h0": None, "c0": None}
        return [
            self._project(work, x, scratch, threads),
            self._recur(work, scratch, {**places, "out": out}, out_steps),
        ]

    def _project(self, work: Work, x: Blocked, place: int, threads: int) -> Launch:
        """Give the call that writes a row of all gates for each step of each sequence."""
        count, vectors = work.batch * work.steps, self.row // LANES
        phase = Phase(((0, 0, 0),), ((0, 0),), (1, 1), (0, 0), (1, vectors), (1, 1), Planes(outputs=count))
        owner, sizes = self.projection(work.unit_parts), (count, self.module.input_size, 1, 1)
        rows = Blocked(Storage(1, vectors, 1, 1, offset=place), self.row)
        (launch,) = Projection(owner, [phase], sizes, (count, self.row, 1, 1), threads, "direct").launches(
            [x], None, rows, 0
        )
        return launch

    def _recur(self, work: Work, x: int, values: dict[str, Blocked | None], out_steps: int) -> Launch:
        """Give the call that goes through the steps."""
        module, state = self.module, x + work.batch * work.steps * self.row
        weight, panels = self.packed(work.tile[1], work.unit_parts)
        if work.coupled:
            sequences, units = [(0, work.batch)] * work.parts, self.bounds(work.parts)
        else:
            sequences = list(itertools.pairwise(part * work.batch // work.parts for part in range(work.parts + 1)))
            units, panels = [(0, self.wide)] * work.parts, panels * work.parts
        shares = np.array([sum(share, ()) for share in zip(sequences, units, panels, strict=True)], np.int64)
        team = state + work.batch * self._state_row(work)
        places = {name: value.start if value else -1 for name, value in values.items()}
        blocks = {f"{name}_block": value.strides[1] if value else -1 for name, value in values.items()}
        description = described(
            FIELDS, batch=work.batch, steps=work.steps, size=module.hidden_size, wide=self.wide, x=x, x_row=self.row,
            state=state, state_row=self._state_row(work), team=team, bias=weight.size - self.wide,
            own_bias=team + TEAM, out_rows=out_steps, reverse=module.go_backwards, sequences=module.return_sequences,
            return_state=module.return_state, zero_masked=module.zero_output_for_mask, parts=work.parts,
            coupled=work.coupled, **places, **blocks,
        )  # fmt: skip
        activation, gate = module.elementwise
        kernel = recurrence_f32(module.cell, *work.tile, scalar_name(activation), scalar_name(gate))
        return Launch(kernel, (description, shares, weight, parameters_of(activation, gate)), work.parts > 1)


def _panels(rows: Array, panel: int) -> Array:
    """Give rows in panels ``[panels][k][panel]``, one behind the other."""
    count = -(-len(rows) // panel)
    wide = np.zeros((count * panel, rows.shape[1]), np.float32)
    wide[: len(rows)] = rows
    return wide.reshape(count, panel, rows.shape[1]).swapaxes(1, 2).reshape(-1)


STEPS = {LSTM: Recurrence, GRU: Recurrence, SimpleRNN: Recurrence}
