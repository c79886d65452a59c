"""Hand-written PyTorch modules with the weights of real Keras files compute what Keras computes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keydnn import WeightsMismatchError, load_keras_weights
from tests.parity.kerases import keras, quiet, tf_keras

torch = pytest.importorskip("torch", reason="needs PyTorch: make parity")
from torch import nn  # noqa: E402  # behind the check that there is one

pytestmark = pytest.mark.parity

DATA = Path(__file__).parents[4] / "shared" / "data"
L = keras.layers
EPS = 1e-3  # Keras' default


def drawn(model, seed=0):
    """Give a Keras model random weights; variances are positive."""
    random = np.random.default_rng(seed)
    weights = []
    for variable in model.weights:
        array = random.standard_normal(variable.shape) / max(1.0, np.sqrt(np.prod(variable.shape[:-1])))
        weights.append(np.abs(array) + 0.5 if "variance" in variable.name else array)
    model.set_weights(weights)
    return model


class Recurrence(nn.Module):
    """A recurrent module as Keras' layer has it: the last step only."""

    def __init__(self, kind, *args, **options):
        super().__init__()
        self.rnn = kind(*args, batch_first=True, **options)

    def forward(self, x):
        return self.rnn(x)[0][:, -1]


class BothWays(nn.Module):
    """A bidirectional module with all steps."""

    def __init__(self, kind, *args, **options):
        super().__init__()
        self.rnn = kind(*args, batch_first=True, bidirectional=True, **options)

    def forward(self, x):
        return self.rnn(x)[0]


class Attention(nn.Module):
    """Self-attention."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x)[0]


# Per case: Keras' layers, the input's shape in Keras, the module, whether its channels are moved in front.
CASES = {
    "conv1d": ([L.Conv1D(5, 3, strides=2)], (9, 4), lambda: nn.Conv1d(4, 5, 3, 2), True),
    "conv2d": ([L.Conv2D(5, (3, 2), dilation_rate=2)], (9, 8, 4), lambda: nn.Conv2d(4, 5, (3, 2), dilation=2), True),
    "conv2d in groups": ([L.Conv2D(6, 3, groups=2)], (5, 5, 4), lambda: nn.Conv2d(4, 6, 3, groups=2), True),
    "conv2d of one channel": ([L.Conv2D(6, 3)], (5, 5, 1), lambda: nn.Conv2d(1, 6, 3), True),
    "conv3d": ([L.Conv3D(5, (2, 3, 1))], (4, 5, 3, 2), lambda: nn.Conv3d(2, 5, (2, 3, 1)), True),
    "depthwise": (
        [L.DepthwiseConv2D((3, 2), depth_multiplier=2)], (6, 5, 3), lambda: nn.Conv2d(3, 6, (3, 2), groups=3), True
    ),
    "depthwise 1d": ([L.DepthwiseConv1D(3)], (6, 3), lambda: nn.Conv1d(3, 3, 3, groups=3), True),
    "separable": (
        [L.SeparableConv2D(5, 3, depth_multiplier=2)],
        (6, 5, 3),
        lambda: nn.Sequential(nn.Conv2d(3, 6, 3, groups=3, bias=False), nn.Conv2d(6, 5, 1)),
        True,
    ),
    "transposed 1d": ([L.Conv1DTranspose(5, 3, strides=3)], (4, 2), lambda: nn.ConvTranspose1d(2, 5, 3, 3), True),
    "transposed 2d": (
        [L.Conv2DTranspose(5, (3, 2), strides=(3, 2))],
        (4, 3, 2),
        lambda: nn.ConvTranspose2d(2, 5, (3, 2), (3, 2)),
        True,
    ),
    "transposed 3d": ([L.Conv3DTranspose(3, 2, strides=2)], (2, 3, 2, 4), lambda: nn.ConvTranspose3d(4, 3, 2, 2), True),
    "linear": ([L.Dense(5, use_bias=False)], (4,), lambda: nn.Linear(4, 5, bias=False), False),
    "batch norm of vectors": ([L.BatchNormalization()], (4,), lambda: nn.BatchNorm1d(4, EPS), False),
    "batch norm": ([L.BatchNormalization()], (3, 2, 4), lambda: nn.BatchNorm2d(4, EPS), True),
    "batch norm without scale": ([L.BatchNormalization(scale=False)], (3, 4), lambda: nn.BatchNorm1d(4, EPS), True),
    "batch norm without center": ([L.BatchNormalization(center=False)], (3, 4), lambda: nn.BatchNorm1d(4, EPS), True),
    "batch norm without both": (
        [L.BatchNormalization(scale=False, center=False)], (3, 4), lambda: nn.BatchNorm1d(4, EPS, affine=False), True
    ),
    "layer norm": ([L.LayerNormalization()], (3, 4), lambda: nn.LayerNorm(4, EPS), False),
    "layer norm without center": ([L.LayerNormalization(center=False)], (3, 4), lambda: nn.LayerNorm(4, EPS), False),
    "layer norm of two axes": (
        [L.LayerNormalization(axis=[1, 2])], (3, 4), lambda: nn.LayerNorm((3, 4), EPS), False
    ),
    "group norm": ([L.GroupNormalization(2)], (3, 2, 4), lambda: nn.GroupNorm(2, 4, EPS), True),
    "instance norm": ([L.GroupNormalization(-1)], (3, 2, 4), lambda: nn.InstanceNorm2d(4, EPS, affine=True), True),
    "rms norm": ([L.RMSNormalization()], (3, 4), lambda: nn.RMSNorm(4, 1e-6), False),
    "prelu of all": ([L.PReLU(shared_axes=[1, 2])], (3, 1), nn.PReLU, False),
    "prelu of channels": ([L.PReLU(shared_axes=[1, 2])], (3, 2, 4), lambda: nn.PReLU(4), True),
    "lstm": ([L.LSTM(3)], (5, 4), lambda: Recurrence(nn.LSTM, 4, 3), False),
    "lstm without bias": ([L.LSTM(3, use_bias=False)], (5, 4), lambda: Recurrence(nn.LSTM, 4, 3, bias=False), False),
    "gru": ([L.GRU(3)], (5, 4), lambda: Recurrence(nn.GRU, 4, 3), False),
    "rnn": ([L.SimpleRNN(3)], (5, 4), lambda: Recurrence(nn.RNN, 4, 3), False),
    "two lstms": (
        [L.LSTM(3, return_sequences=True), L.LSTM(3)], (5, 4), lambda: Recurrence(nn.LSTM, 4, 3, num_layers=2), False
    ),
    "bidirectional lstm": (
        [L.Bidirectional(L.LSTM(3, return_sequences=True))], (5, 4), lambda: BothWays(nn.LSTM, 4, 3), False
    ),
    "two bidirectional grus": (
        [L.Bidirectional(L.GRU(3, return_sequences=True)), L.Bidirectional(L.GRU(3, return_sequences=True))],
        (5, 4),
        lambda: BothWays(nn.GRU, 4, 3, num_layers=2),
        False,
    ),
}  # fmt: skip
CONTAINERS = ("model.h5", "model.weights.h5", "model.keras")


def saved(model, folder, name):
    with quiet():
        (model.save_weights if ".weights" in name else model.save)(folder / name)
    return folder / name


def computed(module, x, *, moved):
    """Give what a module computes of Keras' array, with channels moved in front and back."""
    with torch.no_grad():
        y = module.eval()(torch.from_numpy(np.moveaxis(x, -1, 1).copy() if moved else x)).numpy()
    return np.moveaxis(y, 1, -1) if moved else y


def assert_close(found, wanted):
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("case", CASES)
def test_a_module_computes_what_the_layer_does(tmp_path, case, name):
    layers, shape, build, moved = CASES[case]
    model = drawn(keras.Sequential([keras.Input(shape), *[type(one).from_config(one.get_config()) for one in layers]]))
    path, module = saved(model, tmp_path, name), build()
    x = np.random.default_rng(7).standard_normal((2, *shape)).astype(np.float32)
    if name == "model.weights.h5" and case in NEEDS_ARCHITECTURE:
        with pytest.raises(WeightsMismatchError, match="does not say whether its array is gamma or beta"):
            load_keras_weights(module, path)
        loaded = load_keras_weights(module, path, architecture=model.to_json())
    else:
        loaded = load_keras_weights(module, path)
    assert loaded.model is module
    assert loaded.warnings == ()
    assert_close(computed(module, x, moved=moved), model.predict(x, verbose=0))


NEEDS_ARCHITECTURE = {"batch norm without scale", "batch norm without center", "layer norm without center"}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_table_of_rows(tmp_path, name):
    model = drawn(keras.Sequential([keras.Input((5,), dtype="int32"), L.Embedding(7, 3), L.Flatten(), L.Dense(2)]))
    path = saved(model, tmp_path, name)
    module = nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(15, 2))
    load_keras_weights(module, path)
    ids = np.array([[0, 6, 2, 2, 5]])
    assert_close(module(torch.from_numpy(ids)).detach().numpy(), model.predict(ids, verbose=0))


@pytest.mark.parametrize("name", CONTAINERS)
def test_attention(tmp_path, name):
    x = keras.Input((5, 6))
    model = drawn(keras.Model(x, L.MultiHeadAttention(2, 3, name="mha")(x, x)))
    path, module = saved(model, tmp_path, name), Attention()
    example = np.random.default_rng(7).standard_normal((2, 5, 6)).astype(np.float32)
    wanted = model.predict(example, verbose=0)
    for mapping in (None, {"attention": "mha"}):
        load_keras_weights(module, path, mapping)
        assert_close(computed(module, example, moved=False), wanted)
        module = Attention()
    other = nn.MultiheadAttention(6, 3, batch_first=True)  # as many features, but other heads
    with pytest.raises(WeightsMismatchError):
        load_keras_weights(other, path)


def test_two_parameters_of_one_layer_stay_two(tmp_path):
    """A weight that is tied is written once, and both modules have it."""
    model = drawn(keras.Sequential([keras.Input((4,)), L.Dense(4)]))
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight, second.bias = first.weight, first.bias
    load_keras_weights(nn.Sequential(first, second), saved(model, tmp_path, "model.keras"))
    np.testing.assert_array_equal(second.weight.detach().numpy(), model.layers[-1].kernel.numpy().T)


@pytest.mark.parametrize("partial", [False, True])
def test_a_name_does_not_say_which_of_two_layers_a_part_is(tmp_path, partial):
    layers = [L.LSTM(4, return_sequences=True, name="rnn"), L.LSTM(4, name="other")]
    model, module = drawn(keras.Sequential([keras.Input((5, 4)), *layers])), Recurrence(nn.LSTM, 4, 4, num_layers=2)
    load_keras_weights(module, saved(model, tmp_path, "model.keras"), partial=partial)
    x = np.random.default_rng(7).standard_normal((2, 5, 4)).astype(np.float32)
    assert_close(computed(module, x, moved=False), model.predict(x, verbose=0))


def test_two_layers_do_not_go_into_one_tensor(tmp_path):
    model = drawn(keras.Sequential([keras.Input((4,)), L.Dense(4), L.Dense(4)]))
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    module = nn.Sequential(first, second)
    before = [parameter.detach().clone() for parameter in module.parameters()]
    with pytest.raises(WeightsMismatchError, match="weight is the tensor of a module before it"):
        load_keras_weights(module, saved(model, tmp_path, "model.keras"))
    for old, new in zip(before, module.parameters(), strict=True):
        assert torch.equal(old, new)


def test_what_is_trained_and_counted_stays(tmp_path):
    model = drawn(keras.Sequential([keras.Input((4,)), L.BatchNormalization()]))
    module = nn.BatchNorm1d(4, EPS)
    module.weight.requires_grad_(False)
    module.num_batches_tracked.fill_(7)
    pointers = module.weight.data_ptr(), module.running_mean.data_ptr()
    load_keras_weights(module, saved(model, tmp_path, "model.keras"))
    assert (module.weight.requires_grad, module.bias.requires_grad) == (False, True)
    assert int(module.num_batches_tracked) == 7
    assert pointers == (module.weight.data_ptr(), module.running_mean.data_ptr())


def test_modules_without_shapes_or_numbers_are_refused(tmp_path):
    path = saved(drawn(keras.Sequential([keras.Input((4,)), L.Dense(4)])), tmp_path, "model.keras")
    with quiet(), pytest.raises(WeightsMismatchError, match="call the model on an example first"):
        load_keras_weights(nn.Sequential(nn.LazyLinear(4)), path)
    with pytest.raises(WeightsMismatchError, match="meta device"):
        load_keras_weights(nn.Linear(4, 4, device="meta"), path)
    with pytest.raises(WeightsMismatchError, match="LSTM with proj_size"):
        load_keras_weights(nn.LSTM(4, 4, proj_size=2), path)
    with pytest.raises(WeightsMismatchError, match="no layout is known for weights of Bilinear"):
        load_keras_weights(nn.Bilinear(4, 4, 4), path)


def test_half_precision_is_said(tmp_path):
    path = saved(drawn(keras.Sequential([keras.Input((4,)), L.Dense(4)])), tmp_path, "model.keras")
    loaded = load_keras_weights(nn.Sequential(nn.Linear(4, 4)).half(), path)
    assert loaded.warnings == ("rounded from float32 to float16: 0",)
    assert load_keras_weights(nn.Linear(4, 4).double(), path).warnings == ()


def test_functions_that_pytorch_does_not_have_are_said(tmp_path):
    layer = L.LSTM(3, recurrent_activation="hard_sigmoid")
    path = saved(drawn(keras.Sequential([keras.Input((5, 4)), layer])), tmp_path, "model.keras")
    (warning,) = load_keras_weights(nn.LSTM(4, 3), path).warnings
    assert "computes with sigmoid, but" in warning
    assert "recurrent_activation='hard_sigmoid'" in warning


def test_a_live_model_and_keras_2(tmp_path):
    with quiet():
        layers = tf_keras.layers
        model = drawn(tf_keras.Sequential([layers.Input((5, 5, 2)), layers.Conv2D(3, 3), layers.Flatten()]))
        model.save(tmp_path / "model.h5")
    for source in (model, tmp_path / "model.h5"):
        module = nn.Conv2d(2, 3, 3)
        load_keras_weights(module, source)
        np.testing.assert_array_equal(module.bias.detach().numpy(), model.get_weights()[1])


# --- whole models -----------------------------------------------------------------------------------------------------


class Digits(nn.Module):
    """A classifier as people write it in PyTorch: channels first, flattened."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.ReLU(), nn.MaxPool2d(2))
        self.fc1, self.fc2 = nn.Linear(2 * 3 * 6, 10), nn.Linear(10, 3)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(self.features(x).flatten(1))))


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_flattened_feature_map_needs_a_word(tmp_path, name):
    model = drawn(
        keras.Sequential(
            [
                keras.Input((8, 10, 1)),
                L.Conv2D(4, 3, activation="relu"),
                L.Conv2D(6, 3, activation="relu"),
                L.MaxPooling2D(),
                L.Flatten(),
                L.Dense(10, activation="relu"),
                L.Dense(3),
            ]
        )
    )
    path, module = saved(model, tmp_path, name), Digits()
    x = np.random.default_rng(7).standard_normal((2, 8, 10, 1)).astype(np.float32)
    (warning,) = load_keras_weights(module, path).warnings
    assert warning.startswith("fc1 reads 36 features: 6 cells of the 6 channels of features.2 before it.")
    assert 'flatten={"fc1": (..., 6)}, whose other sizes make 6' in warning
    with torch.no_grad():
        found = module(torch.from_numpy(x.transpose(0, 3, 1, 2))).numpy()
        wanted = model.predict(x, verbose=0)
        assert np.abs(found - wanted).max() > 1e-2
        assert load_keras_weights(module, path, flatten={"fc1": (2, 3, 6)}).warnings == ()
        assert_close(module(torch.from_numpy(x.transpose(0, 3, 1, 2))).numpy(), wanted)


class Block(nn.Module):
    """A residual block; Keras' SAME with stride 2 pads behind only."""

    def __init__(self, into, out, stride):
        super().__init__()
        self.pad = nn.ZeroPad2d((0, 1, 0, 1) if stride == 2 else 1)
        self.conv1, self.bn1 = nn.Conv2d(into, out, 3, stride), nn.BatchNorm2d(out, EPS)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, padding=1), nn.BatchNorm2d(out, EPS)
        self.shortcut = nn.Conv2d(into, out, 1, stride) if stride == 2 else nn.Identity()

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(self.pad(x))))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class ResNet8(nn.Module):
    """MLPerf Tiny's classifier of images."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16, EPS)
        self.blocks = nn.Sequential(Block(16, 16, 1), Block(16, 32, 2), Block(32, 64, 2))
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        return self.fc(self.blocks(torch.relu(self.bn(self.conv(x)))).mean((2, 3)))


def test_a_resnet8_written_in_pytorch_gets_as_many_images_right_as_keras():
    if not DATA.exists():
        pytest.skip(f"{DATA} is absent")
    module = ResNet8().eval()
    loaded = load_keras_weights(module, DATA / "models" / "pretrainedResnet.h5")
    assert loaded.warnings == ()
    assert loaded.unused == ()
    with np.load(DATA / "cifar10_test_846.npz", allow_pickle=False) as images:
        x, labels = images["images"].astype(np.float32), images["labels"]
    with torch.no_grad():
        found = module(torch.from_numpy(x).permute(0, 3, 1, 2)).argmax(1).numpy()
    assert int((found == labels).sum()) == 742


def test_sharded_weights(tmp_path):
    model = drawn(keras.Sequential([keras.Input((300,)), *(L.Dense(300, name=f"d{n}") for n in range(4))]))
    with quiet():
        model.save_weights(tmp_path / "w.weights.json", max_shard_size=0.0005)
    assert len(list(tmp_path.glob("*.h5"))) > 1
    for architecture in (None, model.to_json()):
        module = nn.Sequential(*(nn.Linear(300, 300) for _ in range(4)))
        load_keras_weights(module, tmp_path / "w.weights.json", architecture=architecture)
        for one, kernel in zip(module, model.get_weights()[::2], strict=True):
            np.testing.assert_array_equal(one.weight.detach().numpy(), kernel.T)


def test_a_frozen_part_of_a_model_within_a_model(tmp_path):
    inner = keras.Sequential([keras.Input((4,)), L.Dense(4, trainable=False), L.Dense(4)])
    model = drawn(keras.Sequential([keras.Input((4,)), inner]))
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    x = np.random.default_rng(7).standard_normal((2, 4)).astype(np.float32)
    for name in CONTAINERS:
        load_keras_weights(module, saved(model, tmp_path, name))
        assert_close(computed(module, x, moved=False), model.predict(x, verbose=0))


def test_a_model_written_as_a_class_has_weights_all_the_same(tmp_path):
    class Mine(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv, self.dense = L.Conv2D(4, 3), L.Dense(2)

        def call(self, x):
            return self.dense(keras.ops.mean(self.conv(x), (1, 2)))

    model, x = Mine(), np.random.default_rng(7).standard_normal((2, 5, 5, 3)).astype(np.float32)
    model(x)
    drawn(model)
    module = nn.ModuleDict({"fc": nn.Linear(4, 2), "conv": nn.Conv2d(3, 4, 3)})
    for name in CONTAINERS[1:]:
        load_keras_weights(module, saved(model, tmp_path, name))
        with torch.no_grad():
            y = module["fc"](module["conv"](torch.from_numpy(x.transpose(0, 3, 1, 2))).mean((2, 3))).numpy()
        assert_close(y, model.predict(x, verbose=0))
