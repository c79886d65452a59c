"""Whole programs: random graphs, the golden models, several threads at once, new weights, many shapes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numba
import numpy as np
import pytest

from keydnn import from_keras
from keydnn.errors import MissingWeightsError
from keydnn.graph import Graph, Input, Node, Output
from keydnn.model import Model
from keydnn.modules import (
    ELU,
    GELU,
    Add,
    Average,
    AvgPool2d,
    BatchNorm1d,
    BatchNorm2d,
    Concatenate,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Crop2d,
    Dropout,
    Flatten,
    GlobalAvgPool1d,
    GlobalAvgPool2d,
    LayerNorm,
    LeakyReLU,
    Linear,
    Maximum,
    MaxPool1d,
    MaxPool2d,
    Multiply,
    Permute,
    ReLU,
    Reshape,
    ScaledDotProductAttention,
    Sigmoid,
    SiLU,
    Softmax,
    Subtract,
    Tanh,
    Upsample2d,
    ZeroPad2d,
)
from keydnn.plan import KEPT_PLANS, Program
from tests.convert.test_golden import MODELS, recorded
from tests.plan import choices
from tests.plan.graphs import Maker, arrays_for, assert_plan_agrees, one, random, units, well_conditioned
from tests.within import assert_within, outputs_of

SEEDS = range(60)
RELATIVE = 0.05  # of the largest output: the bound takes every error of up to 25 layers at its worst


class RandomGraph:
    """A random functional graph: 5 to 25 nodes, branches, values read twice, shared modules, several outputs."""

    def __init__(self, seed):
        self.random = np.random.default_rng(seed)
        shapes = [(3, 8, 9), (4, 10), (6,)]
        first = shapes[self.random.choice(3, p=[0.7, 0.2, 0.1])]
        self.inputs, self.shapes, self.nodes = [Input("in0", (None, *first))], {"in0": first}, []
        if self.chance(0.4):
            other = shapes[int(self.random.integers(3))]
            self.inputs.append(Input("in1", (None, *other)))
            self.shapes["in1"] = other
        self.shared, self.read = [], set()
        for _ in range(int(self.random.integers(5, 26))):
            self.step()
        leaves = [node.name for node in self.nodes if node.name not in self.read]
        middle = [node.name for node in self.nodes if node.name in self.read and self.chance(0.1)]
        views = [node.name for node in self.nodes if isinstance(node.module, (Dropout, Flatten)) and self.chance(0.3)]
        names = list(dict.fromkeys([*leaves, *middle, *views]))
        self.graph = Graph(self.inputs, self.nodes, [Output(f"out{i}", name) for i, name in enumerate(names)])

    def chance(self, probability):
        return self.random.random() < probability

    def choose(self, *choices):
        return choices[int(self.random.integers(len(choices)))]

    def pick(self):
        """Take a value, more often a late one."""
        names = list(self.shapes)
        return names[len(names) - 1 - min(int(self.random.exponential(1.2)), len(names) - 1)]

    def add(self, module, *inputs):
        if any(getattr(module, name) is None for name in module.tensor_shapes()):
            module = well_conditioned(module, self.random)
            self.shared.append((module, self.shapes[inputs[0]]))
        name = f"{type(module).__name__}{len(self.nodes)}"
        self.nodes.append(Node(name, module, inputs))
        self.shapes[name] = module.output_shape(*((None, *self.shapes[value]) for value in inputs))[1:]
        self.read.update(inputs)
        return name

    def step(self):
        x = self.pick()
        steps = [self.norm, self.activation, self.activation, self.merge, self.merge, self.again, self.concatenate]
        by_rank = {1: [self.dense, self.to_image], 2: [self.sequence, self.sequence, self.flatten], 3: [self.image] * 9}
        return self.choose(*steps, *by_rank[len(self.shapes[x])])(x)

    def norm(self, x):
        shape = self.shapes[x]
        return self.add(BatchNorm2d(shape[0]) if len(shape) == 3 else BatchNorm1d(shape[0]), x)

    def activation(self, x):
        relus = [ReLU(), ReLU(), ReLU(), ReLU(max_value=0.75), ReLU(negative_slope=0.1), Dropout(0.5)]
        others = [LeakyReLU(), ELU(), Sigmoid(), Tanh(), SiLU(), GELU(), Softmax(dim=1)]
        return self.add(self.choose(*relus, *others), x)

    def merge(self, x):
        """Merge with a value of the same shape, or with one made so."""
        shape = self.shapes[x]
        fitting = [name for name, other in self.shapes.items() if other == shape and name != x]
        if fitting:
            other = self.choose(*fitting)
        elif len(shape) == 3:
            other = self.add(Conv2d(shape[0], shape[0], self.choose(1, 3), padding="same"), x)
        elif len(shape) == 2:
            other = self.add(Conv1d(shape[0], shape[0], 3, padding="same"), x)
        else:
            other = self.add(Linear(shape[0], shape[0]), x)
        inputs = (x, other) if self.chance(0.5) else (other, x)
        return self.add(self.choose(Add(), Add(), Add(), Multiply(), Average(), Maximum(), Subtract()), *inputs)

    def again(self, x):
        """Call an earlier module, or put two convolutions side by side and add them."""
        fitting = [module for module, shape in self.shared if shape == self.shapes[x]]
        if fitting:
            return self.add(self.choose(*fitting), x)
        return self.norm(x)

    def concatenate(self, x):
        shape = self.shapes[x]
        for name in list(self.shapes)[::-1]:
            other = self.shapes[name]
            if len(other) == len(shape) and other[1:] == shape[1:] and shape[0] + other[0] <= 24:
                return self.add(Concatenate(1), x, name)
        return self.activation(x)

    def dense(self, x):
        return self.add(Linear(self.shapes[x][0], int(self.random.integers(2, 9))), x)

    def to_image(self, x):
        (size,) = self.shapes[x]
        return self.add(Reshape((2, size // 2, 1) if size % 2 == 0 else (1, size, 1)), x)

    def flatten(self, x):
        return self.add(Flatten(), x)

    def sequence(self, x):
        channels, length = self.shapes[x]
        choices = [
            Conv1d(channels, int(self.random.integers(2, 8)), self.choose(1, 2, 3), padding="same"),
            Conv1d(channels, channels, 3, padding=((2, 0),), groups=channels),
            MaxPool1d(2, 1, padding="same"),
            GlobalAvgPool1d(),
            Permute((0, 2, 1)),
            LayerNorm((length,)),
        ]
        return self.add(self.choose(*choices), x)

    def image(self, x):
        channels, height, width = self.shapes[x]
        filters = int(self.random.integers(2, 15))
        small = max(height, width) < 12
        chosen = self.choose("conv", "conv", "conv", "residual", "residual", "deep", "grouped", "pool", "move", "leave")
        if chosen == "conv":
            kernel, stride, dilation = self.choose(1, 2, 3, 3, 5), self.choose(1, 1, 2), self.choose(1, 1, 2)
            made = self.add(Conv2d(channels, filters, kernel, stride, "same", dilation, use_bias=self.chance(0.6)), x)
            made = self.norm(made) if self.chance(0.5) else made
            return self.add(self.choose(ReLU(), ReLU(max_value=6)), made) if self.chance(0.5) else made
        if chosen == "residual":
            groups = self.choose(1, 1, channels)
            made = self.add(Conv2d(channels, channels, 3, padding="same", groups=groups), x)
            made = self.norm(made) if self.chance(0.6) else made
            made = self.add(Add(), *((made, x) if self.chance(0.5) else (x, made)))
            return self.add(ReLU(), made) if self.chance(0.6) else made
        if chosen == "deep":
            times, stride = self.choose(1, 2) if channels < 8 else 1, self.choose(1, 2)
            made = self.add(Conv2d(channels, channels * times, self.choose(3, 5), stride, "same", groups=channels), x)
            return self.add(ReLU(), self.norm(made)) if self.chance(0.5) else made
        if chosen == "grouped":
            groups = 2 if channels % 2 == 0 else 1
            made = self.add(Conv2d(channels, 2 * groups, 3, padding="same", groups=groups), x)
            return self.add(ReLU(), made) if self.chance(0.7) else made
        if chosen == "pool":
            return self.add(self.choose(MaxPool2d, AvgPool2d)(2, self.choose(1, 2), padding="same"), x)
        if chosen == "leave":
            return self.add(self.choose(Flatten(), GlobalAvgPool2d(), Reshape((channels, height * width))), x)
        moves = [Permute((0, 1, 3, 2)), ZeroPad2d(((1, 0), (0, 1))) if small else MaxPool2d(2, padding="same")]
        if small:
            moves += [Upsample2d(2, self.choose("nearest", "bilinear")), ConvTranspose2d(channels, 3, 2, 2)]
        if min(height, width) > 3:
            moves.append(Crop2d(((1, 0), (0, 2))))
        return self.add(self.choose(*moves), x)


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"seed-{seed}")
def test_a_random_graph_agrees(seed):
    graph, draw = RandomGraph(seed).graph, np.random.default_rng(seed)
    batch = int(draw.integers(1, 4))
    arrays = [draw.uniform(0.2, 2, (batch, *given.shape[1:])).astype("f4") for given in graph.inputs]
    program = assert_plan_agrees(graph, arrays, RELATIVE)
    first, second = program.run(arrays), program.run([array[::-1] for array in arrays])
    for output, one_first, one_second in zip(graph.outputs, first, second, strict=True):
        np.testing.assert_array_equal(one_second[::-1], one_first, err_msg=f"{output.name}: examples in another order")


def test_random_graphs_hold_what_they_are_meant_to():
    """Otherwise a change of the generator could take the interesting cases away unseen."""
    joined = [unit.split("+") for seed in SEEDS for unit in units(RandomGraph(seed).graph)]
    assert sum(len(unit) > 1 for unit in joined) > 60
    assert sum(any(name.startswith("Add") for name in unit[1:]) for unit in joined) > 20
    assert sum(any(name.startswith("BatchNorm") for name in unit[1:]) for unit in joined) > 40
    names = {type(node.module).__name__ for seed in SEEDS for node in RandomGraph(seed).graph.nodes}
    assert len(names) > 30


@MODELS
def test_golden_models_agree_module_by_module_and_as_a_plan(path):
    graph = from_keras(path, strict=False).graph
    inputs, _ = recorded(path)
    if isinstance(inputs, dict):
        inputs = [inputs[given.name] for given in graph.inputs]
    arrays = [np.asarray(x, np.float32) for x in (inputs if isinstance(inputs, list) else [inputs])]
    assert_plan_agrees(graph, arrays)


# --- threads ---------------------------------------------------------------------------------------------------------


def network(seed):
    """Give a small network that uses every algorithm and much scratch memory."""
    make = Maker(x=(24, 18, 17))
    make(f"wide{seed}", Conv2d(24, 26, 3, padding="same"), "x")
    make(f"bn{seed}", BatchNorm2d(26), f"wide{seed}")
    make("relu", ReLU(), f"bn{seed}")
    make(f"deep{seed}", Conv2d(26, 26, 3, padding="same", groups=26), "relu")
    make(f"point{seed}", Conv2d(26, 24, 1), f"deep{seed}")
    make("add", Add(), f"point{seed}", "x")
    make(f"half{seed}", Conv2d(24, 13, 3, 2, "same"), "add")
    make("pool", MaxPool2d(2), f"half{seed}")
    make("flat", Flatten(), "pool")
    make(f"dense{seed}", Linear(13 * 4 * 4, 10), "flat")
    make("soft", Softmax(), f"dense{seed}")
    return make.graph("soft", "pool")


def in_threads(count, task, items):
    """Run a task on every item, on several threads at once; errors are raised here."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(task, items))


def assert_same(found, wanted):
    assert len(found) == len(wanted)
    for one_found, one_wanted in zip(found, wanted, strict=True):
        for array, other in zip(one_found, one_wanted, strict=True):
            np.testing.assert_array_equal(array, other)


def test_threads_that_share_a_model_get_their_own_answers():
    model, shapes = Model(network(0)), [1, 2, 3]
    given = [random(seed, shapes[seed % len(shapes)], 24, 18, 17) for seed in range(48)]
    wanted = [Model(model.graph).predict(x) for x in given]
    assert_same(in_threads(6, model.predict, given), wanted)


def test_threads_with_a_model_each_get_their_own_answers():
    graphs = [network(seed) for seed in range(4)]
    given = [random(seed, 1 + seed % 2, 24, 18, 17) for seed in range(40)]
    wanted = [Model(graphs[seed % 4]).predict(x) for seed, x in enumerate(given)]
    models = [Model(graph) for graph in graphs]
    found = in_threads(4, lambda seed: models[seed % 4].predict(given[seed]), range(40))
    assert_same(found, wanted)


def test_threads_may_ask_for_more_shapes_than_are_kept():
    """Plans are thrown out while others run on them."""
    model = Model(network(0))
    given = [random(seed, 1 + seed % (KEPT_PLANS + 3), 24, 18, 17) for seed in range(42)]
    wanted = [Model(model.graph).predict(x) for x in given]
    assert_same(in_threads(5, model.predict, given), wanted)


def test_threads_of_numba_do_not_matter():
    graph, x = network(0), random(1, 2, 24, 18, 17)
    found = []
    try:
        for threads in range(1, numba.config.NUMBA_NUM_THREADS + 1):
            numba.set_num_threads(threads)
            found.append(Program(graph).run([x]))
    finally:
        numba.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    assert_same(found, [found[0]] * len(found))


def test_weights_may_change_while_others_predict():
    """Every answer is that of the old weights or of the new ones, never of a mixture."""
    model, x = Model(network(0)), random(2, 1, 24, 18, 17)
    old = model.state_dict()
    new = {name: tensor * np.float32(0.5) for name, tensor in old.items()}
    answers = []
    for state in (new, old):
        model.load_state_dict(state)
        answers.append(model.predict(x)[0].tobytes())

    def task(place):
        if place % 6 == 0:
            model.load_state_dict(new if place % 12 == 0 else old)
        return model.predict(x)[0].tobytes()

    assert len(set(answers)) == 2
    assert set(in_threads(4, task, range(60))) <= set(answers)


# --- weights, shapes -------------------------------------------------------------------------------------------------


def test_new_weights_make_a_new_plan():
    model, x = Model(network(0)), random(3, 2, 24, 18, 17)
    before, state = model.predict(x), model.state_dict()
    model.load_state_dict({name: 0.5 * tensor for name, tensor in state.items()})
    changed = model.predict(x)
    bounds = outputs_of(model.graph, [x])
    for array, old, bounded in zip(changed, before, bounds, strict=True):
        assert not np.array_equal(array, old)
        assert_within(array, bounded.value, bounded.error)
    model.load_state_dict(state)
    assert_same([model.predict(x)], [before])


def test_more_shapes_than_plans_are_kept():
    make = Maker(x=(3, None, None))
    make("conv", Conv2d(3, 5, 3, padding="same"), "x")
    make("relu", ReLU(), "conv")
    make("pool", GlobalAvgPool2d(), "relu")
    graph = make.graph("relu", "pool")
    program = Program(graph)
    shapes = [(1 + i % 3, 3, 4 + i, 9 - i) for i in range(KEPT_PLANS + 4)]
    given = [random(i, *shape) for i, shape in enumerate(shapes)]
    wanted = [Program(graph).run([x]) for x in given]
    for order in (range(len(given)), reversed(range(len(given))), [0, 5, 0, 6, 0, 7, 0, 1, 0]):
        for i in order:
            assert_same([program.run([given[i]])], [wanted[i]])
    for x, found in zip(given, wanted, strict=True):
        for array, bounded in zip(found, outputs_of(graph, [x]), strict=True):
            assert_within(array, bounded.value, bounded.error)


def test_a_plan_is_made_once_for_a_shape_and_kept_while_it_is_used():
    program = Program(one(Conv2d(3, 4, 1).with_tensors({"weight": np.ones((4, 3, 1, 1)), "bias": np.ones(4)}), 3, 6, 6))
    first = program.bind([(1, 3, 6, 6)])
    for batch in range(2, KEPT_PLANS + 4):
        assert program.bind([(1, 3, 6, 6)]) is first
        program.bind([(batch, 3, 6, 6)])
    for batch in range(2, KEPT_PLANS + 2):
        program.bind([(batch, 3, 6, 6)])
    assert program.bind([(1, 3, 6, 6)]) is not first  # thrown out: the others came later
    (found,) = first.run([np.ones((1, 3, 6, 6), np.float32)])  # and still right for who holds it
    np.testing.assert_array_equal(found, np.full((1, 4, 6, 6), 4))


@pytest.mark.parametrize("winograd", [False, True], ids=["direct", "winograd"])
def test_predict_in_batches_uses_the_bits_of_one_call(winograd):
    """Where the algorithms are the same: which of them is faster depends on the batch."""
    model, x = Model(network(0)), random(4, 7, 24, 18, 17)
    with choices.winograd(winograd):
        whole = model.predict(x)
        assert_same([model.predict(x, batch_size) for batch_size in (1, 2, 3, 6)], [whole] * 4)


def test_a_program_without_weights_is_refused_before_anything_is_made():
    graph = one(Conv2d(3, 4, 1), 3, 6, 6)
    with pytest.raises(MissingWeightsError, match="No weights found for module Conv2d"):
        Program(graph)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda x: x[:, :, ::-1], id="negative-strides"),
        pytest.param(np.asfortranarray, id="fortran-order"),
        pytest.param(lambda x: np.broadcast_to(x[:1], x.shape), id="broadcast"),
        pytest.param(lambda x: np.repeat(x, 2, 3)[..., ::2], id="steps"),
    ],
)
def test_any_layout_of_an_input_gives_the_same_bits(change):
    program, x = Program(network(0)), change(random(5, 2, 24, 18, 17))
    assert_same([program.run([x])], [program.run([np.ascontiguousarray(x)])])


@pytest.mark.parametrize(("steps", "is_parallel"), [(16, False), (128, True)])
def test_a_module_of_few_numbers_and_much_work_runs_on_several_threads(steps, is_parallel, monkeypatch):
    """Attention: 4 * 256 * 128**2 multiply-adds on 4 times 32768 numbers."""
    monkeypatch.setattr("keydnn.plan.thread_count", lambda: 2)
    make = Maker(x=(steps, 256))
    make("attention", ScaledDotProductAttention(8), "x", "x", "x")
    plan = Program(make.graph("attention")).bind([(1, steps, 256)])
    assert [launch.parallel for part in plan.parts for launch in part.launches] == [is_parallel]


def test_arrays_for_a_graph_differ():
    """The helper that other tests rely on: two inputs of one shape get different numbers."""
    first, second = arrays_for(Maker(a=(3,), b=(3,)).graph("a"))
    assert not np.array_equal(first, second)


def test_a_failing_task_in_a_thread_is_seen():
    with pytest.raises(ZeroDivisionError):
        in_threads(2, partial(divmod, 1), [1, 0])
