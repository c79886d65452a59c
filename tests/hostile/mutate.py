"""Mutations of valid files: what each of them does to a reader, counted.

``python -m tests.hostile.mutate --container h5 --count 10000 --seed 1`` makes 10,000 damaged files, half of them
damaged where the structure lies and not the numbers, and has each read in a process that may die.  The same seed makes
the same files.  What is neither read as it was nor refused with a typed error is kept in ``--keep``.
"""

from __future__ import annotations

import argparse
import copy
import json
import multiprocessing
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tests.hostile import bases
from tests.hostile.bases import Base, Region

CORPUS = Path(__file__).with_name("corpus")
UNCHECKED = ("h5", "config")
INTERESTING = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 63) - 1, (1 << 64) - 1]
WORDS = [b"null", b"true", b"-1", b"0", b"1e999", b"[]", b"{}", b'""', b'"x"', b"NaN", b"9" * 30, b"\\ud800", b"[["]


VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 3, 7, 10**9, 10**18, 0.0, -0.5, 1e308, "", "same", "Dense", "x", "linear"),
    *([], [0], [1, 1], [None, 4], [[1, 1], [1, 1]], [["x", 0, 0]], {}, {"class_name": "Dense", "config": {}}),
    *({"class_name": "__tensor__", "config": {"value": [1], "dtype": "float32"}}, {"class_name": "__ellipsis__"}),
]


# --- mutations --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mutant:
    """A damaged file among the files of a base, and where it is damaged."""

    base: Base
    name: str
    content: bytes
    region: str


def mutate(base: Base, pick: random.Random, aimed: bool) -> Mutant:
    """Damage one file of a base in one to three places; ``aimed`` at its structure."""
    name = pick.choice(sorted(base.regions))
    if base.values:
        return Mutant(base, name, other_values(base.files[name], pick), "config")
    content = bytearray(base.files[name])
    regions = [region for region in base.regions[name] if region.kind == "structure" or not aimed]
    found = ""
    for _ in range(pick.choice((1, 1, 1, 2, 3))):
        place = _place(pick, regions) if aimed else pick.randrange(len(content))
        found = found or _kind_at(base.regions[name], place)
        if _damage(content, min(place, len(content) - 1), pick, text=base.text) == "cut":
            found = "cut"
            break
    if content == base.files[name]:  # zeros over zeros
        content[min(place, len(content) - 1)] ^= 1
    return Mutant(base, name, bytes(content), found)


def other_values(text: bytes, pick: random.Random) -> bytes:
    """Put other values into a JSON document, in one to three places."""
    document = json.loads(text)
    for _ in range(pick.choice((1, 1, 2, 3))):
        places = list(_places(document))
        owner, key = pick.choice(places)
        way = pick.choice(("value", "value", "copy", "delete", "rename"))
        if way == "value":
            owner[key] = pick.choice(VALUES)
        elif way == "copy":
            other, place = pick.choice(places)
            owner[key] = copy.deepcopy(other[place])
        elif way == "delete":
            del owner[key]
        elif isinstance(owner, dict):
            owner[pick.choice([key for of, key in places if of is not owner and isinstance(of, dict)])] = owner.pop(key)
        else:
            owner.append(copy.deepcopy(owner[key]))
    return json.dumps(document).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(item, (dict, list)):
            yield from _places(item)


def _place(pick: random.Random, regions: list[Region]) -> int:
    """Give a place in one of the regions: any region as often as any byte, so that small headers are met too."""
    region = pick.choice(regions) if pick.random() < 0.5 else pick.choices(regions, [r.size for r in regions])[0]
    return region.start + pick.randrange(region.size)


def _kind_at(regions: list[Region], place: int) -> str:
    return next((region.kind for region in regions if region.start <= place < region.start + region.size), "structure")


def _damage(content: bytearray, at: int, pick: random.Random, *, text: bool) -> str:
    """Change the content in one place; give the name of the way."""
    ways = ["flip", "flip", "byte", "run", "number", "copy", "delete", "insert", "cut"]
    way = pick.choice([*ways, "word", "word", "word"] if text else ways)
    run = min(pick.choice((1, 2, 4, 8, 16, 64)), len(content) - at)
    other = pick.randrange(len(content))
    if way == "flip":
        for _ in range(pick.choice((1, 1, 2, 4))):
            content[min(at + pick.randrange(4), len(content) - 1)] ^= 1 << pick.randrange(8)
    elif way == "byte":
        content[at] = pick.randrange(256)
    elif way == "run":
        content[at : at + run] = pick.choice((b"\0" * run, b"\xff" * run, pick.randbytes(run)))
    elif way == "number":
        size = pick.choice((1, 2, 4, 8))
        value = pick.choice([*INTERESTING, len(content), pick.randrange(1 << 16)]) & ((1 << 8 * size) - 1)
        content[at : at + size] = value.to_bytes(size, "little")
    elif way == "copy":
        content[at : at + run] = content[other : other + run]
    elif way == "delete":
        del content[at : at + run]
    elif way == "insert":
        content[at:at] = content[other : other + run]
    elif way == "word":
        content[at : at + run] = pick.choice(WORDS)
    else:
        del content[at:]
    return way


def mutant(container: str, made: list[Base], seed: int, number: int) -> Mutant:
    """Give the damaged file of a number: always the same."""
    pick = random.Random(f"{container} {seed} {number}")
    return mutate(pick.choice(made), pick, aimed=number % 2 == 0)


# --- reading ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What reading a damaged file gave: ``same``, ``typed``, ``changed`` or ``untyped``, and a word about it."""

    kind: str
    said: str
    seconds: float
    peak: int  # KiB: the largest memory of the reading process so far


def _work(container: str, seed: int, timeout: float, requests: Connection) -> None:
    """Read the damaged files whose numbers come, one after the other; runs in a process of its own."""
    made = bases.make(container)
    with tempfile.TemporaryDirectory() as folder:
        wanted = {id(base): base.read(Path(folder), base.files, timeout) for base in made}
        while (number := requests.recv()) is not None:
            damaged = mutant(container, made, seed, number)
            requests.send(_read(damaged, wanted[id(damaged.base)], Path(folder), timeout))


def _read(damaged: Mutant, wanted: str, folder: Path, timeout: float) -> Outcome:
    from keydnn.convert import UNFORESEEN
    from keydnn.errors import KeyDNNError

    begun = time.monotonic()
    try:
        found = damaged.base.read(folder, {**damaged.base.files, damaged.name: damaged.content}, timeout)
        kind, said = ("same", "") if found == wanted else ("changed", damaged.region)
    except KeyDNNError as error:
        way = next((way for way in ("died of it", "did not answer", UNFORESEEN) if way in str(error)), "")
        kind, said = "typed", f"{type(error).__name__} {way}".strip()
    except Exception as error:
        kind, said = "untyped", f"{type(error).__name__}: {error}"[:300]
    return Outcome(kind, said, time.monotonic() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


class _Reader:
    """A process that reads damaged files, and is replaced where it dies or hangs."""

    def __init__(self, container: str, seed: int, timeout: float) -> None:
        self._arguments = container, seed, timeout
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self._process = context.Process(target=_work, args=(*self._arguments, other), daemon=True)
        self._process.start()
        other.close()

    def receive(self, number: int, seconds: float) -> Outcome:
        """Give what became of a file that was sent."""
        if not self.pipe.poll(seconds):
            return self._replace("hang", f"{number}: no end in {seconds:.0f} s")
        try:
            found: Outcome = self.pipe.recv()
            return found
        except EOFError:
            self._process.join()
            return self._replace("signal", f"{number}: the reading process ended with {self._process.exitcode}")

    def _replace(self, kind: str, said: str) -> Outcome:
        self._process.kill()
        self._process.join()
        self.pipe.close()
        self._start()
        return Outcome(kind, said, 0, 0)

    def close(self) -> None:
        self.pipe.send(None)
        self._process.join()


# --- figures ----------------------------------------------------------------------------------------------------------


@dataclass
class Figures:
    """What became of all damaged files of a container."""

    container: str
    count: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    growth: int = 0  # KiB that the memory of a reading process grew by
    offending: list[str] = field(default_factory=list)

    def add(self, number: int, outcome: Outcome, limit: float) -> bool:
        """Count an outcome; tell whether it must not be."""
        kind = "hang" if outcome.seconds > limit else outcome.kind
        self.count += 1
        self.kinds[kind] += 1
        if outcome.kind == "typed":
            self.errors[outcome.said] += 1
        if outcome.kind == "changed":
            self.changed[outcome.said] += 1
        self.slowest = max(self.slowest, outcome.seconds)
        # HDF5 has no checksum over numbers, texts and most headers, and an architecture is what it says.
        wrong = kind in ("untyped", "hang", "signal") or (kind == "changed" and self.container not in UNCHECKED)
        if wrong:
            self.offending.append(f"{number}: {kind} after {outcome.seconds:.1f} s: {outcome.said}")
        return wrong

    def __str__(self) -> str:
        def listed(counts: Counter[str]) -> str:
            return ", ".join(f"{what} {count}" for what, count in sorted(counts.items())) or "none"

        lines = [
            f"{self.container}: {self.count} mutations: {listed(self.kinds)}",
            f"  typed errors: {listed(self.errors)}",
            f"  loaded, but changed: {listed(self.changed)}",
            f"  slowest {self.slowest:.1f} s, memory of the reading process grew by {self.growth >> 10} MiB",
            f"  offending: {len(self.offending)}",
        ]
        return "\n".join([*lines, *(f"    {line}" for line in self.offending[:50])])


def run(
    container: str, count: int, seed: int, timeout: float = 10.0, jobs: int = 1, keep: Path | None = None
) -> Figures:
    """Read so many damaged files of a container."""
    figures, limit = Figures(container), timeout + 1
    made = bases.make(container)
    readers = [_Reader(container, seed, timeout) for _ in range(jobs)]
    least: dict[int, int] = {}
    for first in range(0, count, jobs):
        sent = list(zip(range(first, min(first + jobs, count)), readers, strict=False))
        for number, reader in sent:
            reader.pipe.send(number)
        for number, reader in sent:
            outcome = reader.receive(number, 3 * timeout + 90)
            if outcome.peak:
                figures.growth = max(figures.growth, outcome.peak - least.setdefault(id(reader), outcome.peak))
            if figures.add(number, outcome, limit) and keep is not None:
                _keep(keep / f"{container}-{seed}-{number}", mutant(container, made, seed, number))
    for reader in readers:
        reader.close()
    return figures


def _keep(folder: Path, damaged: Mutant) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in {**damaged.base.files, damaged.name: damaged.content}.items():
        (folder / name).write_bytes(content)


def main() -> int:
    """Print the figures; exit status 1 where something is as it must not be."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.mutate", description=__doc__)
    parser.add_argument("--container", choices=[*bases.CONTAINERS, "all"], default="all")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds that the HDF5 library may take")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, default=CORPUS, help="folder for files that do what they must not")
    given = parser.parse_args()
    failed = False
    for container in bases.CONTAINERS if given.container == "all" else [given.container]:
        figures = run(container, given.count, given.seed, given.timeout, given.jobs, given.keep)
        print(figures, flush=True)
        failed |= bool(figures.offending)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
