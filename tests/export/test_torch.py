"""What the exporter to PyTorch writes, without PyTorch."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from keydnn import from_keras
from keydnn.errors import ExportError, MissingWeightsError
from keydnn.export.torch import translate
from keydnn.export.torch.formatting import wrapped
from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules import Add, Conv2d, Flatten, Linear, Permute, ReLU, Reshape, Sparsemax, Upsample2d
from tests.export.case import filled
from tests.export.cases import CASES

GOLDEN = sorted(path for path in (Path(__file__).parents[1] / "golden").iterdir() if path.suffix in (".h5", ".keras"))
needs_ruff = pytest.mark.skipif(shutil.which("ruff") is None, reason="ruff is not installed")
DATA = Path(__file__).parents[3] / "shared" / "data"
FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def chain(*modules, shape=(None, 4), names=None):
    """Give a graph of modules one after the other."""
    nodes, name = [], "x"
    for place, module in enumerate(modules):
        nodes.append(Node(names[place] if names else f"layer_{place}", module, (name,)))
        name = nodes[-1].name
    return Graph([Input("x", shape)], nodes, [Output("y", name)])


def forward_of(graph, **options):
    """Give the lines of forward."""
    lines = translate(graph, "model", **options).code.splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("    def forward"))
    return [line.strip() for line in lines[start + 1 : lines.index("", start)]]


def ruff(*arguments, code):
    command = [shutil.which("ruff") or "ruff", *arguments, "--isolated", "-"]
    done = subprocess.run(command, input=code, text=True, capture_output=True, check=False)
    assert not done.returncode, done.stdout + done.stderr


def test_resnet8_is_short_and_clean():
    if not DATA.exists():
        pytest.skip(f"{DATA} is absent: real files are not read")
    model = from_keras(DATA / "models" / "pretrainedResnet.h5", strict=False)
    code = translate(model.graph, "ResNet8", model.source).code
    assert len(code.splitlines()) < 120
    assert "class ResNet8(nn.Module):" in code
    assert "        x = F.relu(x + y)\n" in code
    if shutil.which("ruff") is None:
        pytest.skip("ruff is not installed: the file is not checked by it")
    ruff("check", code=code)
    ruff("format", "--check", code=code)


def test_torch_is_not_imported():
    code = "import sys, keydnn.export.torch; assert not {'torch'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_residual_is_written_with_two_variables():
    nodes = [
        Node("a", filled(Linear(4, 4)), ("x",)),
        Node("b", ReLU(), ("a",)),
        Node("c", filled(Linear(4, 4)), ("b",)),
        Node("sum", Add(), ("b", "c")),
        Node("d", ReLU(), ("sum",)),
        Node("e", filled(Linear(4, 4)), ("d",)),
    ]
    graph = Graph([Input("in", (None, 4))], [Node("a", nodes[0].module, ("in",)), *nodes[1:]], [Output("y", "e")])
    assert forward_of(graph) == [
        "x = F.relu(self.a(x))",
        "y = self.c(x)",
        "x = F.relu(x + y)",
        "return self.e(x)",
    ]


def test_a_shared_layer_is_one_attribute():
    shared = filled(Linear(4, 4))
    found = translate(chain(shared, ReLU(), shared), "model")
    assert found.code.count("nn.Linear(4, 4)") == 1
    assert list(found.state) == ["layer_0.weight", "layer_0.bias"]


def test_weights_are_written_bit_for_bit():
    module = filled(Conv2d(3, 4, 3))
    state = translate(chain(module, shape=(None, 3, 8, 8)), "model").state
    assert state["layer_0.weight"].tobytes() == module.weight.tobytes()
    assert state["layer_0.bias"].tobytes() == module.bias.tobytes()


def test_the_same_graph_gives_the_same_text():
    case = CASES["conv-2d same"]
    assert translate(case.graph, "model").code == translate(case.graph, "model").code


@pytest.mark.parametrize(
    ("layer", "attribute"),
    [
        ("train", "train_"),
        ("class", "class_"),
        ("block/conv-1", "block_conv_1"),
        ("stem/stem_conv", "stem_conv"),
        ("1x1", "layer_1x1"),
        ("__", "layer"),
        ("größe", "gr_e"),
        ("register_hook", "register_hook_"),
        ("F", "F"),
    ],
)
def test_attributes_are_python_names_that_modules_do_not_have(layer, attribute):
    code = translate(chain(filled(Linear(4, 4)), names=[layer]), "model").code
    assert f"        self.{attribute} = nn.Linear(4, 4)\n" in code


def test_names_that_become_the_same_are_told_apart():
    state = translate(chain(filled(Linear(4, 4)), filled(Linear(4, 4)), names=["a/b", "a_b"]), "model").state
    assert list(state) == ["a_b.weight", "a_b.bias", "a_b_2.weight", "a_b_2.bias"]


@pytest.mark.parametrize(
    ("name", "class_name"),
    [
        ("ResNet50", "ResNet50"),
        ("my-net v2", "MyNetV2"),
        ("model_1", "Model"),
        ("functional", "Model"),
        ("sequential_12", "Model"),
        ("1st", "Model"),
        ("", "Model"),
        ("F", "Model"),
        ("int", "Int"),
    ],
)
def test_the_class_is_named_after_the_model(name, class_name):
    assert translate(chain(ReLU()), name).class_name == class_name


def test_where_it_came_from_cannot_break_out_of_the_docstring():
    code = translate(chain(ReLU()), 'a"""\nimport os', {"file": "b\\"}).code
    assert code.splitlines()[0] == '"""a____import os, written by KeyDNN from b_."""'


def test_several_inputs_and_outputs_keep_their_names_and_order():
    nodes = [Node("sum", Add(), ("image", "meta-data")), Node("relu", ReLU(), ("sum",))]
    inputs = [Input("image", (None, 4)), Input("meta-data", (None, 4))]
    graph = Graph(inputs, nodes, [Output("second", "relu"), Output("first", "sum")])
    assert "def forward(self, image, meta_data):" in translate(graph, "model").code
    assert forward_of(graph) == ["x = image + meta_data", "y = F.relu(x)", "return y, x"]


def image_graph(last):
    modules = [Permute(FIRST), filled(Conv2d(3, 3, 3, padding=1)), Permute(LAST), last]
    nodes = [Node(name, m, (b,)) for name, m, b in zip("pcqr", modules, ("x", "p", "c", "q"), strict=True)]
    return Graph([Input("x", (None, 8, 6, 3))], nodes, [Output("y", "r")])


def test_images_are_taken_as_keras_has_them_or_with_the_channels_first():
    graph = image_graph(ReLU())
    assert forward_of(graph)[0] == "x = x.permute(0, 3, 1, 2)"
    assert forward_of(graph, input_layout="nhwc") == forward_of(graph)
    changed = translate(graph, "model", input_layout="nchw").code
    assert "Takes x (N, 3, 8, 6); gives y (N, 8, 6, 3)." in changed
    assert forward_of(graph, input_layout="nchw") == ["return F.relu(self.c(x)).permute(0, 2, 3, 1)"]


def test_channels_first_is_refused_where_something_reads_the_images_as_they_are():
    graph = Graph([Input("x", (None, 8, 6, 3))], [Node("flat", Flatten(), ("x",))], [Output("y", "flat")])
    with pytest.raises(ExportError, match=r"'flat' reads the input 'x' \(N, 8, 6, 3\)"):
        translate(graph, "model", input_layout="nchw")


def test_channels_first_is_refused_without_images():
    with pytest.raises(ExportError, match="no input has spatial axes"):
        translate(chain(ReLU()), "model", input_layout="nchw")


def test_what_moves_nothing_before_flattening_is_left_out():
    graph = chain(Permute(LAST), Flatten(), shape=(None, 5, 1, 1))
    assert forward_of(graph) == ["return x.flatten(1)"]
    graph = chain(Permute(LAST), Flatten(), shape=(None, 5, 2, 1))
    assert forward_of(graph) == ["return x.permute(0, 2, 3, 1).flatten(1)"]


def test_permutes_are_joined():
    graph = chain(Permute(LAST), Permute(FIRST), ReLU(), shape=(None, 5, 2, 3))
    assert forward_of(graph) == ["return F.relu(x)"]
    graph = chain(Permute((0, 2, 1)), Permute((0, 2, 1)), Permute((0, 2, 1)), shape=(None, 5, 2))
    assert forward_of(graph) == ["return x.transpose(1, 2)"]
    graph = chain(Reshape((1, 1, 5)), Permute(FIRST), shape=(None, 5))
    assert forward_of(graph) == ["return x.reshape(-1, 5, 1, 1)"]
    graph = chain(Reshape((1, 2, 5)), Permute(FIRST), shape=(None, 10))
    assert forward_of(graph) == ["return x.reshape(-1, 1, 2, 5).permute(0, 3, 1, 2)"]


def test_padding_has_a_line_of_its_own():
    conv = filled(Conv2d(3, 3, 3, 1, ((0, 2), (0, 2))))
    nodes = [Node("a", conv, ("x",)), Node("b", ReLU(), ("a",)), Node("sum", Add(), ("x", "b"))]
    graph = Graph([Input("x", (None, 3, 8, 8))], nodes, [Output("y", "sum")])
    assert forward_of(graph) == ["y = F.pad(x, (0, 2, 0, 2))", "y = F.relu(self.a(y))", "return x + y"]


def test_free_sizes_are_padded_when_they_are_known():
    graph = chain(filled(Conv2d(3, 4, 3, 2, "same")), shape=(None, 3, None, 8))
    assert forward_of(graph) == ["x = same_pad(x, (3, 3), (2, 2))", "return self.layer_0(x)"]
    assert "def same_pad(" in translate(graph, "model").code


def test_padding_that_is_the_same_for_all_sizes_is_the_layers():
    modules = filled(Conv2d(3, 4, 3, 1, "same")), filled(Conv2d(4, 4, 1, 2, "same")), filled(Conv2d(4, 4, 4, 1, "same"))
    assert forward_of(chain(*modules, shape=(None, 3, None, None))) == [
        "x = self.layer_0(x)",
        "x = self.layer_1(x)",
        "x = F.pad(x, (1, 2, 1, 2))",
        "return self.layer_2(x)",
    ]


def test_missing_weights_are_told():
    with pytest.raises(MissingWeightsError):
        translate(chain(Linear(4, 4)), "model")


def test_everything_in_the_way_is_named_at_once():
    class Unknown(ReLU):
        pass

    with pytest.raises(ExportError, match=r"(?s)2 modules.*layer_0: Unknown.*layer_2: Unknown"):
        translate(chain(Unknown(), ReLU(), Unknown()), "model")


def test_text_is_refused():
    graph = Graph([Input("words", (None, 4), "string")], [Node("flat", Flatten(), ("words",))], [Output("y", "flat")])
    with pytest.raises(ExportError, match="words: an input of text"):
        translate(graph, "model")


def test_rules_missing_and_options_refused_are_one_error():
    class Unknown(ReLU):
        pass

    graph = chain(Upsample2d(2, mode="lanczos3"), Unknown(), shape=(None, 3, None, 4))
    with pytest.raises(ExportError, match=r"(?s)2 modules.*layer_0: Upsample2d: mode 'lanczos3'.*layer_1: Unknown"):
        translate(graph, "model")


def test_arguments_hide_no_function():
    nodes = [Node("sum", Add(), ("sparsemax", "print")), Node("out", Sparsemax(), ("sum",))]
    inputs = [Input("sparsemax", (None, 4)), Input("print", (None, 4))]
    code = translate(Graph(inputs, nodes, [Output("y", "out")]), "model").code
    assert "def forward(self, sparsemax_input, print_input):" in code


@needs_ruff
@pytest.mark.parametrize("name", CASES)
def test_what_is_written_is_clean(name):
    try:
        code = translate(CASES[name].graph, "model").code
    except ExportError:
        return
    assert all(len(line) <= 88 for line in code.splitlines())
    ruff("check", code=code)
    ruff("format", "--check", code=code)


@needs_ruff
@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_real_models_are_written_clean(path):
    model = from_keras(path, strict=False)
    try:
        code = translate(model.graph, model.name, model.source).code
    except ExportError:
        return
    ruff("check", code=code)
    ruff("format", "--check", code=code)


ARGUMENTS = ", ".join(f"argument_{place}" for place in range(8))
STATEMENTS = {
    "short": ("x = ", "F.relu(x)"),
    "a call": ("x = ", f"call({ARGUMENTS[:70]})" + ".flatten()"),
    "arguments": ("self.layer = ", f"nn.Something({ARGUMENTS})"),
    "a list": ("x = ", f"torch.cat([{ARGUMENTS}], dim=1)"),
    "a sum": ("x = ", " + ".join(f"self.some_weight_{place}" for place in range(6))),
    "a sum of products": ("x = ", " + ".join(f"self.some_weight_{place} * y" for place in range(5))),
    "a quotient": ("x = ", "(x - self.a_normalization_with_a_name_mean) / self.a_normalization_with_a_name_std"),
    "a long target": (f"self.{'a_name_' * 10} = ", "nn.Conv2d(96, 192, 2, stride=2)"),
    "outputs": ("return ", ", ".join(f"some_value_{place}" for place in range(8))),
    "a method of a long call": (
        "x = ", "torch.where(x > 0.123456789, x, 0.123456789 * (x - 0.1234567891234567)).clamp(max=1.0)"
    ),
    "a sum as an argument": (
        "x = ", "torch.where(" + " + ".join(f"self.some_weight_{place}" for place in range(6)) + ", x, 0.0)"
    ),
}  # fmt: skip


@needs_ruff
@pytest.mark.parametrize("name", STATEMENTS)
def test_long_statements_are_broken_as_ruff_breaks_them(name):
    lines = wrapped(*STATEMENTS[name], 8)
    assert len(lines) > 1 or name == "short"
    ruff("format", "--check", code="\n".join(["class A:", "    def forward(self, x):", *lines, ""]))


def test_states_are_arguments_and_results():
    nodes = [Node("next", Add(), ("x", "memory"))]
    inputs = [Input("x", (2, 4)), Input("memory", (2, 4))]
    graph = Graph(inputs, nodes, [Output("y", "next"), Output("memory", "next")], states=("memory",))
    found = translate(graph, "model")
    assert forward_of(graph) == ["x = x + memory", "return x, x"]
    assert "Takes x (2, 4), memory (2, 4); gives y (2, 4), memory (2, 4)." in found.code
    assert not found.state
