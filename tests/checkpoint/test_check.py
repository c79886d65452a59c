"""Landmarks and the check: written and read back, and refused on one line where a stranger wrote them."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import hypothesis.strategies as st
import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings

import keydnn.checkpoint as checkpoint
from keydnn.errors import CheckpointError, KeyDNNError
from keydnn.graph import Graph, Landmark
from keydnn.verify import selfcheck
from keydnn.verify.rows import Tolerance
from tests.checkpoint import samples
from tests.checkpoint.test_hostile import VALUES, refused, spots
from tests.checkpoint.test_schema import VALIDATOR, drop, put


def marked(graph):
    """Give a graph with a landmark at each of its values."""
    marks = [Landmark(f"layer/{name}", "Layer", 0, 0, name) for name in graph.shapes]
    marks += [
        Landmark(f"layer/{name}", "Layer", 1, 2, name, tuple(range(len(shape)))[::-1])
        for name, shape in graph.shapes.items()
    ]
    return Graph(graph.inputs, graph.nodes, graph.outputs, graph.states, marks)


def written(path, make=samples.chain, **options):
    """Write a graph with its check and its landmarks."""
    graph = marked(make())
    check = selfcheck.make(graph)
    checkpoint.write(graph, path, check=check, **options)
    return graph, check


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "m.json"
    written(path)
    return path


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "m.json"
    written(path, samples.words)
    return path


# ------------------------------------------------------------------------------------------------------ and back again


@pytest.mark.parametrize("weights", ["inline", "sidecar"])
@pytest.mark.parametrize("make", samples.GRAPHS.values(), ids=samples.GRAPHS.keys())
def test_checks_and_landmarks_come_back(tmp_path, make, weights):
    path = tmp_path / "m.json"
    graph, check = written(path, make, weights=weights)
    found = checkpoint.read(path)
    assert found.graph.landmarks == graph.landmarks
    assert found.check.digests == check.digests
    assert list(found.check.digests) == [node.name for node in graph.nodes]
    assert list(found.check.inputs) == [given.name for given in graph.given]
    for name, array in check.inputs.items():
        again = found.check.inputs[name]
        assert (again.dtype, again.shape, again.tolist()) == (array.dtype, array.shape, array.tolist())
    before = path.read_bytes()
    checkpoint.write(found.graph, path, weights=weights, check=found.check)
    assert path.read_bytes() == before
    VALIDATOR.validate(json.loads(before))
    assert selfcheck.replay(found.graph, found.check, Tolerance()).problem == ""


def test_inputs_keep_their_types(texts):
    found = checkpoint.read(texts).check.inputs
    assert {name: array.dtype for name, array in found.items()} == {"text": np.dtype(object), "id": np.dtype(np.int64)}
    assert all(type(word) is str for word in found["text"].ravel())


def test_without_a_check_there_is_none(tmp_path):
    checkpoint.write(samples.tiny(), tmp_path / "m.json")
    assert checkpoint.read(tmp_path / "m.json").check is None
    assert not {"example", "digests", "landmarks"} & json.loads((tmp_path / "m.json").read_text()).keys()


# ------------------------------------------------------------------------------------------------------------- refused


def huge(content):
    """Promise 4 GB in an example of an input whose sizes are free."""
    content["example"]["in"]["shape"] = [1, 3, 41_666_667, 8]


def vast(content):
    content["example"]["in"]["shape"] = [10**18, 3, 10**18, 8]


SHAPE, DATA = ("example", "in", "shape"), ("example", "in", "data")
DIGEST, MARK = ("digests", "0"), ("landmarks", 0)
REFUSED = {
    "example-alone": (drop("digests"), "example: stands without digests"),
    "digests-alone": (drop("example"), "digests: stands without example"),
    "example-list": (put("example", value=[]), "example: must be an object"),
    "example-null": (put("example", value=None), "example: must be an object"),
    "example-empty": (put("example", value={}), "example: key 'in' is missing"),
    "example-of-another": (put("example", "out", value={}), "example.out: unknown key"),
    "input-list": (put("example", "in", value=[]), "example.in: must be an object"),
    "no-shape": (drop(*SHAPE), "key 'shape' is missing"),
    "no-data": (drop(*DATA), "key 'data' is missing"),
    "values-for-data": (put("example", "in", "values", value=[1.5]), "example.in.values: unknown key"),
    "shape-text": (put(*SHAPE, value="1"), "shape: must be a list"),
    "shape-real": (put(*SHAPE, 0, value=1.0), r"shape\[0\]: must be an integer"),
    "shape-of-other-rank": (put(*SHAPE, value=[1, 3, 16]), "example.in.shape: is not that of an example of 'in'"),
    "shape-of-other-size": (put(*SHAPE, 1, value=4), "is not that of an example of 'in', got"),
    "no-examples": (put(*SHAPE, 0, value=0), "is not that of an example"),
    "negative": (put(*SHAPE, 0, value=-1), r"shape\[0\]: must be an integer >= 0"),
    "4-GB": (huge, "is not that of an example"),
    "beyond-all": (vast, "is not that of an example"),
    "250-MB": (put(*SHAPE, 2, value=2_600_000), "data: must be the base64 of 249600000 bytes"),
    "data-null": (put(*DATA, value=None), "data: must be text"),
    "data-short": (put(*DATA, value="AAAA"), "data: must be the base64 of 1536 bytes"),
    "data-not-base64": (put(*DATA, value="*" * 2048), "data: is not base64"),
    "data-nan": (put(*DATA, value="AADAfwAAwH8AAMB/" * 128), "data: holds NaN or infinities"),
    "digests-list": (put("digests", value=[]), "digests: must be an object"),
    "digest-null": (put(*DIGEST, value=None), r"digests\[\"0\"\]: must be an object"),
    "digest-key": (put(*DIGEST, "extra", value=1), "extra: unknown key"),
    "no-module": (drop(*DIGEST, "module"), "key 'module' is missing"),
    "module-short": (put(*DIGEST, "module", value="00"), "module: must be a SHA-256"),
    "module-list": (put(*DIGEST, "module", value=[]), "module: must be text"),
    "digest-shape-text": (put(*DIGEST, "shape", value="x"), "shape: must be a list"),
    "digest-shape-rank": (put(*DIGEST, "shape", value=[1] * 33), "has 33 axes; at most 32"),
    "mean-alone": (drop(*DIGEST, "largest"), "has one of mean and largest without the other"),
    "mean-text": (put(*DIGEST, "mean", value="0"), "mean: must be a number"),
    "mean-true": (put(*DIGEST, "mean", value=True), "mean: must be a number"),
    "mean-null": (put(*DIGEST, "mean", value=None), "mean: must be a number"),
    "at-number": (put(*DIGEST, "at", value=1), "at: must be a list"),
    "at-text": (put(*DIGEST, "at", 0, value="x"), r"at\[0\]: must be a number"),
    "at-list": (put(*DIGEST, "at", 0, value=[1]), r"at\[0\]: must be a number"),
    "at-long": (put(*DIGEST, "at", value=[1.0] * 101), "at: has 101 items; 1 to 100 are possible"),
    "at-empty": (put(*DIGEST, "at", value=[]), "at: has 0 items; 1 to 100 are possible"),
    "at-of-few": (put(*DIGEST, "shape", value=[1, 2]), "at: has 8 items; 1 to 2 are possible"),
    "at-of-none": (put(*DIGEST, "shape", value=[1, 0]), "at: has 8 items; none is possible"),
    "landmarks-object": (put("landmarks", value={}), "landmarks: must be a list"),
    "no-landmarks": (put("landmarks", value=[]), "landmarks: is empty"),
    "landmark-null": (put(*MARK, value=None), r"landmarks\[0\]: must be an object"),
    "landmark-key": (put(*MARK, "extra", value=1), "extra: unknown key"),
    "landmark-without-value": (drop(*MARK, "value"), "key 'value' is missing"),
    "landmark-nowhere": (put(*MARK, "value", value="9"), "names '9', which no node computes"),
    "landmark-call-0": (put(*MARK, "call", value=0), "call: must be an integer >= 1"),
    "landmark-call-text": (put(*MARK, "call", value="1"), "call: must be an integer"),
    "landmark-tensor-real": (put(*MARK, "tensor", value=1.0), "tensor: must be an integer"),
    "landmark-layer-number": (put(*MARK, "layer", value=1), "layer: must be text"),
    "order-empty": (put(*MARK, "order", value=[]), "order: must have 1 to 32 axes"),
    "order-long": (put(*MARK, "order", value=[0] * 33), "order: must have 1 to 32 axes"),
    "order-negative": (put(*MARK, "order", value=[-1, 0, 1, 2]), r"order\[0\]: must be an integer >= 0"),
    "order-twice": (put(*MARK, "order", value=[0, 1, 2, 2]), "has no order of the axes of 'in'"),
    "order-of-other-rank": (put(*MARK, "order", value=[1, 0]), "has no order of the axes of 'in'"),
    "order-vast": (put(*MARK, "order", value=[0, 1, 2, 10**18]), "has no order of the axes of 'in'"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "match"), REFUSED.values(), ids=REFUSED.keys())
def test_what_does_not_fit_is_refused_with_its_place(path, edit, match):
    samples.edited(path, edit)
    refused(path, match)


IDS, WORDS = ("example", "id", "values"), ("example", "text", "values")
REFUSED_TEXTS = {
    "float32-for-ids": (put("example", "id", value={"shape": [1, 3], "data": "AAAA" * 4}), "key 'values' is missing"),
    "ids-real": (put(*IDS, 0, value=1.0), r"values\[0\]: must be an integer"),
    "ids-true": (put(*IDS, 0, value=True), r"values\[0\]: must be an integer"),
    "ids-text": (put(*IDS, 0, value="1"), r"values\[0\]: must be an integer"),
    "ids-beyond": (put(*IDS, 0, value=1 << 63), r"values\[0\]: is no int64"),
    "ids-below": (put(*IDS, 0, value=-(1 << 63) - 1), r"values\[0\]: must be an integer >= -9223372036854775808"),
    "ids-short": (put(*IDS, value=[1]), "values: has 1 items for the shape"),
    "ids-vast": (put("example", "id", "shape", 0, value=10**18), "shape: is not that of an example"),
    "ids-many": (put("example", "id", "shape", 0, value=10**6), "values: has 3 items for the shape"),
    "words-number": (put(*WORDS, 0, value=1), r"values\[0\]: must be text"),
    "words-null": (put(*WORDS, 0, value=None), r"values\[0\]: must be text"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "match"), REFUSED_TEXTS.values(), ids=REFUSED_TEXTS.keys())
def test_examples_of_text_and_integers_are_checked(texts, edit, match):
    samples.edited(texts, edit)
    refused(texts, match)


UNFIT = [
    "example-alone", "digests-alone", "example-list", "input-list", "no-shape", "no-data", "values-for-data",
    "shape-text", "negative", "no-examples", "digests-list", "digest-null", "digest-key", "no-module",
    "module-short", "digest-shape-rank", "mean-alone", "mean-text", "mean-true", "at-number", "at-list", "at-long",
    "landmarks-object", "no-landmarks", "landmark-null", "landmark-key", "landmark-without-value", "landmark-call-0",
    "order-empty", "order-long", "order-negative", "order-twice",
]  # fmt: skip


@pytest.mark.parametrize("name", UNFIT)
def test_the_schema_refuses_what_the_reader_refuses(path, name):
    content = json.loads(path.read_text())
    VALIDATOR.validate(content)
    content = REFUSED[name][0](content) or content
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(content)


# ------------------------------------------------------------------------------------- read, but not what was converted


def replayed(path):
    found = checkpoint.read(path)
    return selfcheck.replay(found.graph, found.check, Tolerance())


def answer(path):
    """Give what a replay finds, or the typed error."""
    try:
        return replayed(path)
    except KeyDNNError as error:
        assert "\n" not in str(error)  # noqa: PT017  # every such error is an answer
        return error


ANSWERED = {
    "digest-of-an-unknown-node": (
        lambda c: c["digests"].update({"9": c["digests"]["0"]}), "node '9': not in the graph any more",
    ),
    "no-digests": (put("digests", value={}), "node '0': not in the graph that was converted"),
    "more-places": (put("digests", "0", "at", value=[0.0] * 100), "node '0': gives a number of"),
    "texts-for-numbers": (
        put("digests", "0", value={"module": "0" * 64, "shape": [1], "at": ["a"]}), "node '0': its parameters",
    ),
    "another-shape": (put("digests", "0", "shape", value=[10**18]), "node '0': gives the shape"),
    "nulls": (put("digests", "0", "at", 0, value=None), "node '0': gives a number of"),
    "vast-numbers": (put("digests", "0", "largest", value=1e308), "node '0': gives a"),
    "another-example": (put("example", "in", "data", value="AACAPwAAgD8AAIA/" * 128), "node '0': gives a"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "problem"), ANSWERED.values(), ids=ANSWERED.keys())
def test_digests_that_do_not_fit_the_graph_are_named(path, edit, problem):
    samples.edited(path, edit)
    assert problem in replayed(path).problem


def test_texts_in_place_of_numbers_are_named(path):
    def edit(content):
        digest = content["digests"]["0"]
        content["digests"]["0"] = {"module": digest["module"], "shape": digest["shape"], "at": ["a"] * 8}

    samples.edited(path, edit)
    assert "node '0'" in replayed(path).problem


def test_100_000_landmarks_are_read_soon(path):
    def edit(content):
        content["landmarks"] = content["landmarks"][:1] * 40_000

    def more(content):
        content["landmarks"] = content["landmarks"][:1] * 400_000

    samples.edited(path, edit)
    assert len(checkpoint.read(path).graph.landmarks) == 40_000
    samples.edited(path, more)
    refused(path, "bytes outside of text|pieces of text")


@pytest.mark.parametrize("make", [samples.chain, samples.words, samples.stateful], ids=lambda make: make.__name__)
def test_resealed_random_values_give_typed_errors(tmp_path, make):
    """Any value at any place: a typed error, or a check that can be replayed, which may say anything."""
    path = tmp_path / "m.json"
    written(path, make)
    content = json.loads(path.read_text())
    ways = [way for way in spots(content) if way and way[0] in ("landmarks", "example", "digests")]
    pick, good = random.Random(7), 0
    for _ in range(300):
        samples.edited(path, put(*pick.choice(ways), value=pick.choice([*VALUES, "0" * 64, "x", [1] * 9])))
        good += not isinstance(answer(path), KeyDNNError)
        path.write_text(json.dumps(content))
    assert good


NUMBERS = st.none() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False) | st.text()
SHAPES = st.lists(st.integers(0, 10**18) | st.integers(0, 9), max_size=5)


@settings(max_examples=60, deadline=None)
@given(
    at=st.lists(NUMBERS, max_size=12),
    shape=SHAPES,
    mean=NUMBERS,
    example=SHAPES,
    order=st.lists(st.integers(0, 5), max_size=6),
)
def test_anything_in_a_digest_an_example_or_an_order(tmp_path_factory, at, shape, mean, example, order):
    path = tmp_path_factory.mktemp("any") / "m.json"
    written(path)
    content = json.loads(path.read_text())
    for edit in (
        {"digests": {**content["digests"], "1": {**content["digests"]["1"], "at": at}}},
        {"digests": {**content["digests"], "1": {**content["digests"]["1"], "shape": shape, "mean": mean}}},
        {"example": {"in": {**content["example"]["in"], "shape": example}}},
        {"landmarks": [{**content["landmarks"][0], "order": order}]},
    ):
        path.write_text(json.dumps(content))
        samples.edited(path, lambda whole, edit=edit: {**whole, **edit})
        answer(path)


def test_promises_allocate_nothing(path):
    for edit in (huge, vast, put(*SHAPE, 2, value=2_600_000)):
        samples.edited(path, edit)
        code = f"""
import resource
from keydnn import checkpoint
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try: checkpoint.read({str(path)!r})
except checkpoint.CheckpointError: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
        assert int(done.stdout) < 20 << 10  # KiB


# ---------------------------------------------------------------------------------------------------- cannot be written


@pytest.mark.parametrize(
    "bad", [np.full((1, 1, 2, 2), np.nan, "f4"), np.ones((1, 2, 2), "f4"), np.empty((0, 1, 2, 2), "f4")],
    ids=["nan", "rank", "empty"],
)  # fmt: skip
def test_a_check_that_cannot_be_read_is_not_written(tmp_path, bad):
    graph = samples.tiny()
    made = selfcheck.make(graph)
    with pytest.raises(CheckpointError, match="cannot be written"):
        checkpoint.write(graph, tmp_path / "m.json", check=type(made)({"x": bad}, made.digests))
    assert not list(tmp_path.iterdir())
