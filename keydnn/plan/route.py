"""Which units run on the blocked layout, and where values change from one layout to the other.

A convolution always does, other units where their input already is blocked.  Values are converted where a unit wants
them in the other layout, once for each form; permutations and reshapes are put off until somebody reads the result, so
that a channels_last input becomes blocked in one copy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from jit_kernels._simd import LANES
from keydnn.errors import ShapeError
from keydnn.graph import Graph
from keydnn.modules.base import Permutation, sized
from keydnn.modules.dense import Linear
from keydnn.modules.merge import Concatenate
from keydnn.modules.recurrent import Recurrent
from keydnn.modules.shape import Permute, ZeroPad1d, ZeroPad2d
from keydnn.plan.fuse import CONVOLUTIONS, HALO_PADS, TRANSPOSED, Unit
from keydnn.plan.memory import Scratch
from keydnn.plan.step import NO_HALO, ImageSizes, Job, Need, Step
from keydnn.plan.values import Blocked, Plain, Sizes, Strides, contiguous_strides, image_sizes, image_strides

# These run on the blocked layout wherever their input comes from.
ALWAYS = (*CONVOLUTIONS, *TRANSPOSED, Linear, Recurrent)


@dataclass(eq=False)
class Operation:
    """One step of a plan whose values have their form.

    ``job`` with blocked inputs and output; or ``unit`` alone with plain ones; or neither: a change of layout, where
    ``strides`` are the plain array's.
    """

    inputs: list[Blocked | Plain]
    out: Blocked | Plain
    unit: Unit | None = None
    job: Job | None = None
    added: Blocked | None = None
    strides: Strides = field(default_factory=lambda: Strides(0, 0, 0, 0))
    scratch: Scratch = field(default_factory=lambda: Scratch(0))

    @property
    def is_same_memory(self) -> bool:
        """Whether it changes nothing: one pixel of one image is the same in both layouts."""
        if self.job is not None or self.unit is not None:
            return False
        blocked = next(value for value in (*self.inputs, self.out) if isinstance(value, Blocked))
        alone = blocked.first == 0 and blocked.blocks == blocked.storage.blocks and blocked.pads == NO_HALO
        return alone and blocked.storage.one_pixel and blocked.storage.batch == 1 and self.strides.channel == 1


class Route:
    """The operations of a graph for inputs of known shapes, in order.

    Attributes
    ----------
    operations
        What is to be done.
    inputs, outputs
        The graph's inputs and outputs, plain.
    """

    def __init__(
        self, graph: Graph, units: Sequence[Unit], steps: Mapping[int, Step], shapes: Sequence[Sizes], threads: int
    ) -> None:
        self.operations: list[Operation] = []
        self._sizes = all_sizes(graph, shapes)
        self._source: dict[str, tuple[str, Permutation | None]] = {}  # of views and permutations
        self._permutes: dict[str, Unit] = {}
        self._computed_blocked: set[str] = set()
        self._blocked: dict[tuple[str, ImageSizes, int], Blocked] = {}
        self._plain: dict[str, Plain] = {}
        self._members: dict[int, list[Blocked]] = {}
        self.inputs = [self._new_plain(given.name) for given in graph.inputs]
        for unit in units:
            self._add(unit, steps.get(id(unit)), threads)
        self.outputs = [self._as_plain(output.value) for output in graph.outputs]

    def _new_plain(self, name: str) -> Plain:
        self._plain[name] = Plain(self._sizes[name])
        return self._plain[name]

    def _add(self, unit: Unit, step: Step | None, threads: int) -> None:
        """Add a unit's operation, and the changes of layout before it."""
        name = unit.value
        if unit.is_view:
            self._source[name] = (unit.inputs[0], None)
            return
        if isinstance(unit.module, Permute) and unit.rank in (3, 4, 5):
            self._source[name] = (unit.inputs[0], unit.module.dims)
            self._permutes[name] = unit
            return
        if isinstance(unit.module, HALO_PADS) and self._pad(unit, unit.module):
            return
        job = self._job(unit, step, threads)
        if job is None:
            values = (*unit.inputs, *([unit.residual] if unit.residual else []))
            inputs: list[Blocked | Plain] = [self._as_plain(value) for value in values]
            self.operations.append(Operation(inputs, self._new_plain(name), unit))
            return
        blocked = [self._as_blocked(value, need) for value, need in zip(unit.inputs, job.needs, strict=True)]
        added = self._as_blocked(unit.residual, Need(job.out)) if unit.residual else None
        out = self._new_blocked(name, job.out)
        self._computed_blocked.add(name)
        if isinstance(unit.module, Concatenate):
            self._adopt(out, blocked)
        self.operations.append(Operation([*blocked], out, unit, job, added))

    def _pad(self, unit: Unit, module: ZeroPad1d | ZeroPad2d) -> bool:
        """Let zero padding be a part of the halo, where its input is blocked."""
        sizes = image_sizes(self._sizes[unit.inputs[0]])
        if sizes is None or not self._is_blocked(unit.inputs[0], sizes):
            return False
        (top, bottom), (left, right) = ((0, 0),) * (2 - module.axes) + module.padding
        value = self._as_blocked(unit.inputs[0], Need(sizes)).padded((top, bottom, left, right))
        self._blocked[unit.value, value.sizes, LANES] = value
        self._computed_blocked.add(unit.value)
        self._members[id(value.storage)].append(value)
        return True

    def _job(self, unit: Unit, step: Step | None, threads: int) -> Job | None:
        """Give the unit's job on the blocked layout, or None."""
        if step is None:
            return None
        sizes = [self._image_sizes(unit, value) for value in (*unit.inputs, unit.value)]
        known = [size for size in sizes if size is not None]
        if len(known) != len(sizes):
            return None
        *known, out = known
        plain = not any(self._is_blocked(value, size) for value, size in zip(unit.inputs, known, strict=True))
        if plain and not isinstance(unit.module, ALWAYS):
            return None
        job = step.job(known, out, self._sizes[unit.value][0], plain, threads)
        if job is None or (unit.residual and image_sizes(self._sizes[unit.residual]) != job.out):
            return None
        return job

    def _image_sizes(self, unit: Unit, value: str) -> ImageSizes | None:
        """Give the sizes as the unit sees them: a dense or recurrent layer sees rows of features."""
        sizes = self._sizes[value]
        if isinstance(unit.module, (Linear, Recurrent)):
            return (math.prod(sizes[:-1]), sizes[-1], 1, 1)
        return image_sizes(sizes)

    def _root(self, name: str) -> str:
        """Follow views to the value that is computed (or permuted)."""
        while name in self._source and self._source[name][1] is None:
            name = self._source[name][0]
        return name

    def _is_blocked(self, name: str, sizes: ImageSizes) -> bool:
        """Whether a value of these sizes comes from the blocked layout."""
        root = self._root(name)
        return root in self._computed_blocked and self._found(root, name, sizes, LANES) is not None

    def _found(self, root: str, name: str, sizes: ImageSizes, lanes: int) -> Blocked | None:
        """Give the value in a blocked form that is there already."""
        there = self._blocked.get((root, sizes, lanes)) if self._have_the_same_images(root, name) else None
        return there if there is not None else self._blocked.get((name, sizes, lanes))

    def _have_the_same_images(self, root: str, name: str) -> bool:
        """Whether equal sizes of images mean the same: not where time steps are taken for planes of volumes."""
        one, other = self._sizes[root], self._sizes[name]
        return one[0] == other[0] or 5 not in (len(one), len(other))

    def _new_blocked(self, name: str, sizes: ImageSizes, lanes: int = LANES) -> Blocked:
        value = Blocked.of(sizes, lanes)
        self._blocked[name, sizes, lanes] = value
        self._members[id(value.storage)] = [value]
        return value

    def _as_blocked(self, name: str, need: Need) -> Blocked:
        """Give a value in a blocked form, with the halo asked for."""
        root = self._root(name)
        value = self._found(root, name, need.sizes, need.lanes)
        if value is None:
            value = self._new_blocked(name, need.sizes, need.lanes)
            permuted = root in self._source and self._sizes[root] == self._sizes[name]
            if permuted and image_sizes(self._sizes[name]) == need.sizes:
                plain, strides = self._permuted(root)
            else:
                plain, strides = self._as_plain(name), self._strides(name, need.sizes)
            self.operations.append(Operation([plain], value, strides=strides))
        if need.halo != NO_HALO:
            value.widen(need.halo)
        return value

    def _strides(self, name: str, sizes: ImageSizes) -> Strides:
        """Give the strides of a plain value that is seen in these sizes."""
        if image_sizes(self._sizes[name]) == sizes:
            return image_strides(self._sizes[name], contiguous_strides(self._sizes[name]))
        return Strides(sizes[1], 1, 0, 0)  # rows of features

    def _permuted(self, name: str) -> tuple[Plain, Strides]:
        """Give the plain array that a permutation reads, and its strides in the order of the permutation's axes."""
        source, dims = self._source[name]
        assert dims is not None  # the caller has looked
        strides = contiguous_strides(self._sizes[source])
        return self._as_plain(source), image_strides(self._sizes[name], tuple(strides[axis] for axis in dims))

    def _as_plain(self, name: str) -> Plain:
        """Give a value as modules see it."""
        if name in self._plain:
            return self._plain[name]
        if name in self._source:
            source, dims = self._source[name]
            if dims is None:
                plain = self._plain[name] = replace_sizes(self._as_plain(source), self._sizes[name])
                return plain
            return self._permuted_plain(name, source, dims)
        ((_, sizes, _), value) = next(item for item in self._blocked.items() if item[0][0] == name)
        plain = self._new_plain(name)
        self.operations.append(Operation([value], plain, strides=self._strides(name, sizes)))
        return plain

    def _permuted_plain(self, name: str, source: str, dims: Permutation) -> Plain:
        """Give a permuted value as modules see it: one copy from wherever it is."""
        images = image_sizes(self._sizes[source])
        assert images is not None  # permutations of other ranks are computed by their module
        if not self._is_blocked(source, images):
            self.operations.append(Operation([self._as_plain(source)], self._new_plain(name), self._permutes[name]))
            return self._plain[name]
        value, plain = self._as_blocked(source, Need(images)), self._new_plain(name)
        found = contiguous_strides(self._sizes[name])
        in_order = tuple(found[dims.index(axis)] for axis in range(len(dims)))
        strides = image_strides(self._sizes[source], in_order)
        self.operations.append(Operation([value], plain, strides=strides))
        return plain

    def _adopt(self, whole: Blocked, parts: Sequence[Blocked]) -> None:
        """Move the parts of a concatenation into its storage, but for those that already lie in another's."""
        first, moved = 0, set()
        for part in parts:
            storage = part.storage
            is_whole = part.first == 0 and part.blocks == storage.blocks and part.pads == NO_HALO
            if is_whole and id(storage) not in moved and storage is not whole.storage:
                for member in self._members.pop(id(storage)):
                    member.storage, member.first = whole.storage, member.first + first
                    self._members[id(whole.storage)].append(member)
                whole.storage.widen(storage.halo)
                moved.add(id(storage))
            first += part.blocks


def replace_sizes(plain: Plain, sizes: Sizes) -> Plain:
    """Give the same memory in another shape."""
    return replace(plain, sizes=sizes, shares=plain.home)


def all_sizes(graph: Graph, shapes: Sequence[Sizes]) -> dict[str, Sizes]:
    """Give the sizes of every value; ShapeError, naming the node, where they do not fit."""
    sizes: dict[str, Sizes] = dict(zip((given.name for given in graph.inputs), shapes, strict=True))
    for node in graph.nodes:
        try:
            shape = node.module.output_shape(*(sizes[name] for name in node.inputs))
            sizes[node.name] = sized(node.module, shape)
        except ShapeError as error:
            raise ShapeError(f"node {node.name!r}: {error}") from None
    return sizes
