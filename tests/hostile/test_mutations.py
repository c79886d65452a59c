"""Damaged files of every container: read as they were, or refused with a typed error; and what was wrong once."""

from __future__ import annotations

import pytest

from keydnn import KerasFileError, convert
from keydnn.errors import KeyDNNError
from tests.hostile import bases, mutate
from tests.hostile.bases import ARCHITECTURE
from tests.hostile.kind import read

COUNTS = {"h5": 300, "keras": 600, "json": 1000, "sidecar": 1000, "config": 600}  # HDF5 takes the longest
CORPUS = sorted(path for path in mutate.CORPUS.glob("*") if path.is_dir())


@pytest.mark.parametrize("container", bases.CONTAINERS)
def test_mutations_are_refused_or_change_nothing(container):
    """The long mode: ``python -m tests.hostile.mutate --count 10000``."""
    figures = mutate.run(container, COUNTS[container], seed=20240501, jobs=2)
    assert figures.count == COUNTS[container]
    assert not figures.offending, str(figures)
    assert figures.kinds["typed"] > figures.count // 4  # they do damage
    assert figures.growth < 200 << 10


@pytest.mark.parametrize("folder", CORPUS, ids=lambda folder: folder.name)
def test_what_was_wrong_once_is_right(folder, tmp_path):
    """The files that were read as something else, raised another error or took too long."""
    content = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    given = {"architecture": tmp_path / ARCHITECTURE} if ARCHITECTURE in content else None
    main = next(name for name in sorted(content) if name.startswith("m.") and "safe" not in name)
    with pytest.raises(KeyDNNError):
        read(tmp_path / main, given)


def test_the_same_seed_makes_the_same_files():
    made = bases.make("h5")
    contents = [[mutate.mutant("h5", made, 7, number).content for number in range(20)] for _ in range(2)]
    assert contents[0] == contents[1]
    assert len(set(contents[0])) == 20


def test_figures_tell_what_must_not_be():
    figures = mutate.Figures("keras")
    outcomes = [mutate.Outcome(kind, "x", 1.0, 0) for kind in ("same", "typed", "changed", "untyped", "hang", "signal")]
    assert [figures.add(0, outcome, 11) for outcome in outcomes] == [False, False, True, True, True, True]
    assert figures.add(0, mutate.Outcome("typed", "x", 12.0, 0), 11)
    assert not mutate.Figures("h5").add(0, outcomes[2], 11)
    assert "offending: 5" in str(figures)


def test_a_reading_process_that_dies_or_hangs_is_seen_and_replaced(monkeypatch):
    reader = mutate._Reader("json", 1, 1.0)
    reader.pipe.send(0)
    assert reader.receive(0, 60).kind in ("same", "typed")
    assert reader.receive(1, 0.1).kind == "hang"  # it was sent nothing
    reader._process.kill()
    assert reader.receive(2, 60).kind == "signal"
    reader.pipe.send(0)
    assert reader.receive(0, 60).kind in ("same", "typed")
    reader.close()


@pytest.mark.parametrize(
    "raised", [KeyError("x"), TypeError("x"), MemoryError(), RecursionError("x"), ZeroDivisionError()]
)
def test_what_no_check_has_foreseen_is_a_typed_error(raised, monkeypatch):
    def fail(*arguments):
        raise raised

    monkeypatch.setattr(convert, "assemble", fail)
    with pytest.raises(KerasFileError, match=r"no check has foreseen|not enough memory") as caught:
        convert.convert(bases.GOLDEN / "keras3_norms_keras.keras", bases.OPTIONS)
    assert caught.value.__cause__ is raised
