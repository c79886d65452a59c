"""Which unit of the file goes to which module: by the mapping, by equal names, by shape, by order."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from keydnn.errors import Mismatch, ParameterError
from keydnn.transfer.forms import Form
from keydnn.transfer.sources import Unit
from keydnn.transfer.targets import Target

Names = str | Sequence[str]  # of Keras layers
Wishes = Mapping[str, Names | None]  # by the paths of modules


@dataclass(frozen=True, eq=False)
class Pair:
    """A module, the unit that it takes, in which form, and how they were found to belong together."""

    target: Target
    unit: Unit
    form: Form
    how: str


class Matching:
    """The search for pairs.

    Parameters
    ----------
    targets, units
        In the model's and in the file's order.
    partial
        Whether modules and units may be left over.

    Attributes
    ----------
    pairs
        What belongs together.
    kept
        Modules that keep the weights that they have.
    mismatches
        Modules that cannot be given theirs.
    """

    def __init__(self, targets: Sequence[Target], units: Sequence[Unit], *, partial: bool) -> None:
        self._targets, self._units, self._partial = targets, units, partial
        self._left = list(targets)
        self._taken: set[Unit] = set()
        self.pairs: list[Pair] = []
        self.kept: list[Target] = []
        self.mismatches: list[tuple[Target, Mismatch]] = []

    @property
    def unused(self) -> list[Unit]:
        """The units that no module takes."""
        return [unit for unit in self._units if unit not in self._taken]

    def run(self, mapping: Wishes) -> None:
        """Find all pairs."""
        self._by_mapping(mapping)
        if not self._by_name():
            self._by_shape()
        place = {target: number for number, target in enumerate(self._targets)}
        self.pairs.sort(key=lambda pair: place[pair.target])
        self.mismatches.sort(key=lambda found: place[found[0]])

    # --- explicit -----------------------------------------------------------------------------------------------------

    def _by_mapping(self, mapping: Wishes) -> None:
        for path, names in mapping.items():
            own = [target for target in self._left if target.path == path]
            targets = [target for target in self._left if target in own or target.path.startswith(f"{path}.")]
            if not targets:
                raise ParameterError(_unknown("module with weights", path, [target.path for target in self._targets]))
            given = [] if names is None else [names] if isinstance(names, str) else names
            units = [unit for name in given for unit in self._named(name)]
            if own and (names is None or len(units) == len(own)):
                targets = own
            self._left = [target for target in self._left if target not in targets]
            if names is None:
                self.kept += targets
                continue
            self._taken.update(units)
            if len(units) != len(targets):
                parts = " and ".join(unit.name for unit in units)
                why = f"{len(targets)} needed, but the mapping names {len(units)}: {parts}"
                self.mismatches.append((targets[0], Mismatch(path, _wanted(targets[0]), "", why)))
            elif len(units) == 1 or not isinstance(names, str):
                for target, unit in zip(targets, units, strict=True):
                    self._pair(target, unit)
            else:
                self._within(targets, units)

    def _within(self, targets: Sequence[Target], units: Sequence[Unit]) -> None:
        """Go by shape and order within what the mapping gives to a module of several parts."""
        inside = Matching(targets, units, partial=False)
        inside.run({})
        self.pairs += [replace(pair, how=f"by the mapping, {pair.how}") for pair in inside.pairs]
        self.mismatches += inside.mismatches

    def _named(self, name: str) -> list[Unit]:
        """Give the units that a name stands for: the one that has it, or all parts of the layer."""
        exact = [unit for unit in self._units if name in (unit.name, unit.place)]
        found = exact or [unit for unit in self._units if unit.is_called(name)]
        if not found:
            raise ParameterError(_unknown("layer with weights", name, [unit.name for unit in self._units]))
        return found

    def _pair(self, target: Target, unit: Unit) -> None:
        """Put two together whatever the layer's name suggests, or say why they do not fit."""
        form = _form_of(target, unit, trusting=False)
        if form is not None:
            self.pairs.append(Pair(target, unit, form, "by the mapping"))
            return
        why = target.problem or _reason(target, unit, trusting=False)
        self.mismatches.append((target, Mismatch(target.label, _wanted(target), str(unit), f"by the mapping: {why}")))

    # --- by name ------------------------------------------------------------------------------------------------------

    def _by_name(self) -> bool:
        """Go by names, if every module that is left has the name of a layer that fits it."""
        units = {unit.name: unit for unit in self.unused}
        if len(units) < len(self.unused) or any(target.part for target in self._left):
            return False  # a name says nothing about parts, or stands for two layers
        pairs = []
        for target in self._left:
            unit = units.get(target.path) or units.get(target.path.replace(".", "/"))
            form = _form_of(target, unit, trusting=False) if unit else None
            if unit is None or form is None:
                return False
            pairs.append(Pair(target, unit, form, "by name"))
        self.pairs += pairs
        self._taken.update(pair.unit for pair in pairs)
        self._left = []
        return True

    # --- by shape and order -------------------------------------------------------------------------------------------

    def _by_shape(self) -> None:
        """Give modules that the same units fit these units in their order.

        What a module takes is told by the kind and the shapes; so modules and units that are alike stand in one group,
        and only their order within it is to be believed.
        """
        fitting = {target: self._fitting(target) for target in self._left}
        for target in list(fitting):
            if not fitting[target]:
                self._fits_nothing(target)
                del fitting[target]
        _settle(fitting, every_unit=not self._partial)
        for group in _groups(fitting):
            self._by_order(group, fitting)
        self._left = []

    def _fitting(self, target: Target) -> dict[Unit, Form]:
        """Give the units that are left and fit, each with its form."""
        found = {unit: _form_of(target, unit, trusting=True) for unit in self.unused}
        return {unit: form for unit, form in found.items() if form is not None}

    def _by_order(self, group: Sequence[Target], fitting: Mapping[Target, Mapping[Unit, Form]]) -> None:
        units = [unit for unit in self._units if any(unit in fitting[target] for target in group)]
        alike = all(len(fitting[target]) == len(units) for target in group)
        why = ""
        if len(group) != len(units):
            modules = "1 module takes" if len(group) == 1 else f"{len(group)} modules take"
            layers = "1 layer has" if len(units) == 1 else f"{len(units)} layers have"
            why = f"{modules} weights of these shapes, but {layers} them"
        elif not alike:
            why = "fits several layers, of which other modules fit some only; say in the mapping which it is"
        elif len({unit.series for unit in units}) > 1:
            why = "the order of the layers of these shapes is not in the file; give architecture= or a mapping"
        if not why:
            count = len(units)
            for place, (target, unit) in enumerate(zip(group, units, strict=True), 1):
                how = "by shape" if count == 1 else f"by order, {place} of {count}"
                self.pairs.append(Pair(target, unit, fitting[target][unit], how))
            self._taken.update(units)
            return
        told = alike and not self._partial and len(group) != len(units)  # then only what is too many is named
        missing = group[len(units) :] if told else group
        self._taken.update(units[: len(group)] if told else units)
        names = ", ".join(unit.name for unit in units)
        for target in missing:
            self.mismatches.append((target, Mismatch(target.label, _wanted(target), "", f"{why}: {names}")))

    def _fits_nothing(self, target: Target) -> None:
        if self._partial:
            self.kept.append(target)
            return
        candidates = self.unused
        if target.problem or not candidates:
            why = target.problem or "the file has nothing left"
            self.mismatches.append((target, Mismatch(target.label, _wanted(target), "", why)))
            return
        nearest = min(candidates, key=lambda unit: _distance(target, unit))
        near = _distance(target, nearest)[0] == 0
        why = _reason(target, nearest, trusting=True) if near else "the file has no layer of the kind"
        self.mismatches.append((target, Mismatch(target.label, _wanted(target), str(nearest) if near else "", why)))


def _form_of(target: Target, unit: Unit, *, trusting: bool) -> Form | None:
    """Give the first form that a unit has."""
    return next((form for form in target.forms if not form.refuses(unit, trusting=trusting)), None)


def _settle(fitting: Mapping[Target, dict[Unit, Form]], *, every_unit: bool) -> None:
    """Leave a unit that is all that one module fits to this module alone.

    Where every unit must go somewhere, so must one that fits one module alone, and the module then takes no other.
    """
    takers = Counter(unit for units in fitting.values() for unit in units)
    settled = False
    while not settled:
        settled = True
        for units in fitting.values():
            alone = [unit for unit in units if takers[unit] == 1]
            if len(units) == 1:
                (unit,) = units
                rivals = [others for others in fitting.values() if others is not units and unit in others]
                lost = [(rival, unit) for rival in rivals] if all(len(rival) > 1 for rival in rivals) else []
            elif every_unit and len(alone) == 1:
                lost = [(units, unit) for unit in units if unit not in alone]
            else:
                continue
            for loser, unit in lost:
                del loser[unit]
                takers[unit] -= 1
                settled = False


def _groups(fitting: Mapping[Target, Mapping[Unit, Form]]) -> Iterator[list[Target]]:
    """Give the modules by what they compete for: those that a chain of common units connects, in their order."""
    left = list(fitting)
    while left:
        group, units, grown = [left[0]], set(fitting[left[0]]), True
        while grown:
            more = [target for target in left if target not in group and units & set(fitting[target])]
            group += more
            units.update(*(fitting[target] for target in more))
            grown = bool(more)
        yield [target for target in left if target in group]
        left = [target for target in left if target not in group]


def _unknown(what: str, name: str, names: Iterable[str]) -> str:
    known = list(dict.fromkeys(names))
    close = difflib.get_close_matches(name, known, 5, 0.5)
    near = [one for one in known if one in close] or known[:5]
    dots = ", ..." if len(known) > len(near) else ""
    return f"mapping: there is no {what} {name!r}; there are {', '.join(map(repr, near))}{dots}"


def _wanted(target: Target) -> str:
    return str(target.forms[0]) if target.forms else ""


def _reason(target: Target, unit: Unit, *, trusting: bool) -> str:
    """Say why a unit does not fit, by the form that it comes closest to."""
    if not target.forms:
        return target.problem
    reasons = [(_far(form, unit), form.refuses(unit, trusting=trusting)) for form in target.forms]
    return min(reasons, key=lambda reason: reason[0])[1]


def _distance(target: Target, unit: Unit) -> tuple[float, ...]:
    """Say how far a unit is off from fitting: of another kind, in ranks, in sizes and the number of arrays."""
    return min((_far(form, unit) for form in target.forms), default=(9.0,))


def _far(form: Form, unit: Unit) -> tuple[float, ...]:
    class_name = unit.class_name or unit.guessed
    other_kind = class_name is not None and class_name not in form.classes
    roles = {tensor.role for tensor in unit.tensors}
    if class_name is None and not unit.counted and not roles & set(form.shapes):
        other_kind = True
    arrays = list(zip(form.shapes.values(), (tensor.shape for tensor in unit.tensors), strict=False))
    ranks = sum(abs(len(wanted) - len(found)) for wanted, found in arrays)
    sizes = sum(
        abs(math.log((a + 1) / (b + 1))) for wanted, found in arrays for a, b in zip(wanted, found, strict=False)
    )
    return float(other_kind), float(ranks), sizes + abs(len(form.shapes) - len(unit.tensors))
