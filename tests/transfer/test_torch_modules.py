"""PyTorch's modules as they are seen without PyTorch: by their classes' names, and written through torch alone."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import types

import numpy as np
import pytest

from keydnn import WeightsMismatchError, load_keras_weights
from keydnn.errors import ParameterError
from tests.transfer.files import numbers, write_legacy


class Tensor:
    """What a tensor is asked for."""

    def __init__(self, *shape):
        self.array, self.dtype, self.shape, self.is_meta = np.zeros(shape, np.float32), "torch.float32", shape, False

    def __getitem__(self, rows):
        view = Tensor(0)
        view.array = self.array[rows]
        return view

    def copy_(self, other):
        self.array[...] = other


class Module:
    """What a module is asked for: like PyTorch's, told by the module that its class is from."""

    __module__ = "torch.nn.modules.module"
    buffers = ()

    def __init__(self, **members):
        self.__dict__.update(members)

    def named_modules(self, path=""):
        yield path, self
        for name, member in vars(self).items():
            if isinstance(member, Module):
                yield from member.named_modules(f"{path}.{name}".lstrip("."))

    def named_parameters(self, recurse=True):
        assert not recurse
        found = ((name, member) for name, member in vars(self).items() if isinstance(member, Tensor))
        return ((name, tensor) for name, tensor in found if name not in self.buffers)

    def named_buffers(self, recurse=True):
        assert not recurse
        return ((name, getattr(self, name)) for name in self.buffers)


class Linear(Module):
    __module__ = "torch.nn.modules.linear"


class BatchNorm1d(Module):
    __module__ = "torch.nn.modules.batchnorm"
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    eps = 1e-3


class Mine(Linear):
    """A class of somebody's own."""


@pytest.fixture
def torch(monkeypatch):
    """Stand in for PyTorch."""
    stand_in = types.SimpleNamespace(no_grad=contextlib.nullcontext, from_numpy=np.asarray)
    monkeypatch.setitem(sys.modules, "torch", stand_in)
    return stand_in


def network():
    norm = {name: Tensor(3) for name in ("weight", "bias", "running_mean", "running_var")}
    return Module(fc=Mine(weight=Tensor(3, 4), bias=Tensor(3)), norm=BatchNorm1d(**norm, num_batches_tracked=Tensor()))


@pytest.fixture
def path(tmp_path):
    vectors = {
        name: numbers(3, place) for place, name in enumerate(("gamma", "beta", "moving_mean", "moving_variance"))
    }
    return write_legacy(tmp_path / "w.h5", {"d": {"kernel": numbers((4, 3)), "bias": numbers(3, 9)}, "n": vectors})


def test_modules_are_known_by_the_nearest_class_of_pytorch(torch, path):
    model = network()
    loaded = load_keras_weights(model, path)
    assert loaded.model is model
    np.testing.assert_array_equal(model.fc.weight.array, numbers((4, 3)).T)
    np.testing.assert_array_equal(model.fc.bias.array, numbers(3, 9))
    np.testing.assert_array_equal(model.norm.running_var.array, numbers(3, 3))
    assert [row.tensor for row in loaded.rows][:3] == ["fc.weight", "fc.bias", "norm.weight"]


def test_nothing_is_written_where_one_module_does_not_fit(torch, path):
    model = network()
    model.other = Module(scale=Tensor(5))
    with pytest.raises(WeightsMismatchError, match="other: no layout is known for weights of Module"):
        load_keras_weights(model, path)
    assert not model.fc.weight.array.any()
    load_keras_weights(model, path, {"other": None})
    assert model.fc.weight.array.any()


def test_a_damaged_array_leaves_the_model_as_it_was(torch, path, monkeypatch):
    from keydnn.convert.read.hdf5.file import H5File
    from keydnn.errors import KerasFileError

    read = H5File._read

    def damaged(file, path, shape, dtype):
        if "moving_variance" in path:
            raise KerasFileError("damaged")
        return read(file, path, shape, dtype)

    monkeypatch.setattr(H5File, "_read", damaged)
    model = network()
    with pytest.raises(KerasFileError):
        load_keras_weights(model, path)
    assert not model.fc.weight.array.any()


def test_a_class_that_only_looks_like_it_is_refused(path):
    class Looks:
        def named_modules(self):
            return []

    with pytest.raises(ParameterError, match="got tests"):
        load_keras_weights(Looks(), path)


def test_pytorch_is_not_imported_for_keydnns_models():
    code = (
        "import sys, keydnn\n"
        "assert 'keydnn.transfer' not in sys.modules\n"
        "from keydnn import load_keras_weights\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
