"""The drawing of a graph: boxes for layers, stacks, rows, columns, lines that cross no box."""

from __future__ import annotations

import time
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from keydnn.convert import Options, convert
from keydnn.graph import Graph, Input, Node, Origin, Output
from keydnn.modules import Add, ReLU
from keydnn.report.boxes import MOST_IN_STACK, stacks_of
from keydnn.report.drawing import graph_svgs
from keydnn.report.layered import GAP, MOST_LABELS, MOST_ROWS, SPACE, columns_of
from tests.report.reports import DIGITS, full_report, report_of

SVG = "{http://www.w3.org/2000/svg}"


def graph(edges, calls=None):
    """Make a graph of ReLU and Add by the names that nodes read; ``calls`` gives origins."""
    nodes = []
    for name, read in edges.items():
        layer = (calls or {}).get(name, name)
        nodes.append(Node(name, ReLU() if len(read) == 1 else Add(), tuple(read), Origin(layer, "Layer")))
    return Graph([Input("x", (None, 4))], nodes, [Output("y", nodes[-1].name)])


def named(stacks):
    return [[box.layer for box in stack.boxes] for stack in stacks.stacks]


# --- boxes and stacks -------------------------------------------------------------------------------------------------


def test_layers_in_a_row_are_one_stack_and_forks_begin_new_ones():
    found = stacks_of(graph({"a": "x", "b": "a", "c": "b", "d": ("c", "a"), "e": "d"}))
    assert named(found) == [["x"], ["a"], ["b", "c"], ["d", "e"], ["y"]]
    assert found.edges == ((0, 1), (1, 2), (1, 3), (2, 3), (3, 4))


def test_a_long_chain_is_cut():
    chain = {f"n{place}": ([f"n{place - 1}"] if place else ["x"]) for place in range(3 * MOST_IN_STACK)}
    assert [len(stack.boxes) for stack in stacks_of(graph(chain)).stacks[1:-1]] == [MOST_IN_STACK] * 3


def test_modules_of_one_layer_are_one_box_and_permutes_go_with_their_reader():
    found = stacks_of(convert(DIGITS, Options(True, True)).require_graph())
    assert ["conv1", "norm1", "relu1", "conv2", "pool", "drop", "flatten", "classes"] in named(found)
    (conv,) = [box for stack in found.stacks for box in stack.boxes if box.layer == "conv1"]
    assert [node.name for node in conv.nodes] == ["conv1.in0", "conv1"]
    assert conv.kind == "conv"
    assert conv.shape == (None, 8, 8, 16)


def test_calls_of_a_layer_are_boxes_of_their_own():
    found = stacks_of(graph({"a": "x", "b": "a", "a@1": "b"}, {"a@1": "a"}))
    assert [(box.layer, box.call) for stack in found.stacks for box in stack.boxes] == [
        ("x", 0), ("a", 0), ("b", 0), ("a", 1), ("y", 0),
    ]  # fmt: skip


def test_boxes_that_would_read_each_other_are_taken_apart():
    found = stacks_of(graph({"a": "x", "b": "a", "c": "b"}, {"c": "a"}))
    assert sum(len(stack.boxes) for stack in found.stacks) == 5
    assert all(source < target for source, target in found.edges)


# --- layout -----------------------------------------------------------------------------------------------------------


def boxes_of(column):
    return {
        item.key[1]: (item.x - item.width / 2, item.y, item.x + item.width / 2, item.y + item.height)
        for item in column.items
        if item.key[0] == "box"
    }


def test_rows_go_down_and_boxes_do_not_overlap():
    sizes = [(100.0, 40.0), (60.0, 20.0), (200.0, 80.0), (90.0, 40.0)]
    (column,) = columns_of(sizes, [(0, 1), (0, 2), (1, 3), (2, 3)], 1e9)
    boxes = boxes_of(column)
    assert boxes[0][3] + GAP <= boxes[1][1]
    assert boxes[2][3] + GAP <= boxes[3][1]
    left, right = sorted([boxes[1], boxes[2]])
    assert left[2] + SPACE <= right[0] + 1e-6
    assert min(box[0] for box in boxes.values()) >= 0
    assert max(box[2] for box in boxes.values()) <= column.width + 1e-6
    assert max(box[3] for box in boxes.values()) == pytest.approx(column.height)


def test_a_chain_is_straight_beside_its_residual_lines():
    (column,) = columns_of([(100.0, 40.0)] * 4, [(0, 1), (1, 2), (2, 3), (0, 2), (1, 3)], 1e9)
    middles = [(box[0] + box[2]) / 2 for box in boxes_of(column).values()]
    assert max(middles) - min(middles) < 2


def test_lines_pass_beside_boxes():
    sizes = [(120.0, 30.0)] * 8
    edges = [(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 5), (4, 6), (5, 6), (0, 6), (6, 7), (0, 7), (1, 7)]
    (column,) = columns_of(sizes, edges, 1e9)
    boxes = boxes_of(column).values()
    for line in column.lines:
        for (x1, y1), (x2, y2) in pairwise(line.points):
            if x1 == x2:
                inside = [b for b in boxes if b[0] < x1 < b[2] and max(y1, b[1]) + 0.1 < min(y2, b[3])]
                assert not inside


def test_a_tall_graph_is_cut_where_one_value_passes_and_goes_on_below_a_label():
    sizes = [(100.0, 100.0)] * 9
    edges = [(place, place + 1) for place in range(8)] + [(3, 5)]
    columns = columns_of(sizes, edges, 450.0)
    assert len(columns) > 2
    assert sorted(number for column in columns for number in boxes_of(column)) == list(range(9))
    labels = [[item.key for item in column.items if item.key[0] in ("from", "to")] for column in columns]
    assert all(labels)
    for before, after in pairwise(labels):
        assert ("from", before[-1][1]) in after


def test_very_long_lines_begin_at_a_label():
    count = MOST_ROWS + 3
    (column,) = columns_of([(50.0, 20.0)] * count, [(n, n + 1) for n in range(count - 1)] + [(0, count - 1)], 1e9)
    assert [item.key for item in column.items if item.key[0] != "box"] == [("from", 0)]


def test_labels_of_very_many_lines_are_counted():
    count = MOST_ROWS + 30
    edges = [(n, n + 1) for n in range(count - 1)] + [(n, count - 1) for n in range(20)]
    (column,) = columns_of([(50.0, 20.0)] * count, edges, 1e9)
    labels = [item.key for item in column.items if item.key[0] in ("from", "and")]
    assert labels == [*(("from", n) for n in range(MOST_LABELS)), ("and", 20 - MOST_LABELS)]


def test_what_reads_nothing_stands_right_above_its_reader():
    (column,) = columns_of([(50.0, 20.0)] * 5, [(0, 1), (1, 2), (2, 4), (3, 4)], 1e9)
    boxes = boxes_of(column)
    assert boxes[3][1] == boxes[2][1]


def test_a_thousand_layers_are_drawn_in_a_second():
    edges, last = {"n0": ["x"]}, "n0"
    for block in range(250):
        edges |= {f"a{block}": [last], f"b{block}": [f"a{block}"], f"c{block}": [f"b{block}"]}
        edges[f"d{block}"] = [f"c{block}", last]
        last = f"d{block}"
    made = graph(edges)
    start = time.perf_counter()
    found = stacks_of(made)
    columns = columns_of([(150.0, 60.0)] * len(found.stacks), found.edges, 900.0)
    assert time.perf_counter() - start < 2  # 0.1 s on a quiet machine
    assert len(columns) > 10


def test_many_lines_from_everywhere_to_everywhere_end_in_time():
    names = [f"n{place}" for place in range(120)]
    edges = {"n0": ["x"]} | {name: names[:place] for place, name in enumerate(names) if place}
    start = time.perf_counter()
    found = stacks_of(graph(edges))
    columns = columns_of([(150.0, 60.0)] * len(found.stacks), found.edges, 900.0)
    assert time.perf_counter() - start < 10
    assert sum(len(column.items) + len(column.lines) for column in columns) < 20_000


# --- SVG --------------------------------------------------------------------------------------------------------------


def test_rows_are_links_to_the_table_and_wrong_ones_are_marked():
    svgs, kinds = graph_svgs(full_report(errors=(1e-7, 1.0), agrees=(True, False)))
    roots = [ElementTree.fromstring(svg) for svg in svgs]
    texts = [text.text for root in roots for text in root.iter(f"{SVG}text")]
    assert {"conv1", "Conv2D", "(N, 10)"} <= set(texts)
    links = [link.get("href") for root in roots for link in root.iter(f"{SVG}a")]
    assert "#layer-1" in links
    off = [group.find(f"{SVG}text").text for root in roots for group in root.iter(f"{SVG}g") if group.get("class")]
    assert off == ["norm1"]
    assert kinds[0] == "conv"


def test_the_same_report_gives_the_same_drawing():
    assert graph_svgs(report_of()) == graph_svgs(report_of())


def test_no_column_is_left_with_a_sliver():
    sizes = [(100.0, 40.0)] * 12
    edges = [(place, place + 1) for place in range(11)] + [(0, 10)]
    (column,) = columns_of(sizes, edges, 400.0)
    assert len(boxes_of(column)) == 12


def test_lines_that_many_boxes_wait_for_leave_the_chain_straight():
    edges = [(place, place + 1) for place in range(8)] + [(0, 8), (1, 7), (2, 6)]
    (column,) = columns_of([(100.0, 40.0)] * 9, edges, 1e9)
    middles = [(box[0] + box[2]) / 2 for box in boxes_of(column).values()]
    assert max(middles) - min(middles) < 100
