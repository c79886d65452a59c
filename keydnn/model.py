"""The model that users hold: a graph with a name, prediction in batches, saving and loading."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from keydnn import checkpoint
from keydnn.checkpoint.check import SelfCheck
from keydnn.errors import MissingWeightsError, ParameterError, ShapeError
from keydnn.graph import Graph, Input, Node, Output
from keydnn.modules.base import Array, Module, Shape, shape_text
from keydnn.modules.typed import AnyArray, as_dtype
from keydnn.plan.stages import Stages
from keydnn.progress import show_compiling
from keydnn.report.tables import graph_table

if TYPE_CHECKING:  # importing a Keras file needs h5py; running a checkpoint must not
    from keydnn.convert import Conversion, Given, Source
    from keydnn.export.targets import Exported

Arrays = npt.ArrayLike | Sequence[npt.ArrayLike] | Mapping[str, npt.ArrayLike]
Result = AnyArray | list[AnyArray] | dict[str, AnyArray]
Path = str | os.PathLike[str]

show_compiling()


class Model:
    """A module graph, ready to predict.

    Parameters
    ----------
    graph
        The modules and how they are wired.
    name
        For people.
    source
        Where the model came from (file, Keras version, rewrites made), as it is stored in checkpoints.

    Attributes
    ----------
    graph
        The modules with their weights; replaced, never changed, by ``load_state_dict``.
    check
        The example that the checkpoint carries, and what a float64 reference computed of it; None if it carries none,
        or after ``load_state_dict``.
    """

    def __init__(self, graph: Graph, *, name: str = "model", source: Mapping[str, Any] | None = None) -> None:
        self.graph, self.name, self.source = graph, name, source
        self.check: SelfCheck | None = None
        self._program: Stages | None = None
        self._states: list[AnyArray] = []  # zeros, until the first call

    # --- prediction ---------------------------------------------------------------------------------------------------

    def __call__(self, x: Arrays) -> Result:
        """Compute the outputs for ``x`` in one go (see :meth:`predict`)."""
        return self._shape_result(self._compute(self._ordered(x)), x)

    def predict(self, x: Arrays, batch_size: int = 32) -> Result:
        """Compute the outputs, ``batch_size`` examples at a time.

        Parameters
        ----------
        x
            An array with the batch on axis 0; for several inputs a list in their order or a dict by name.  float32 in C
            order is used as it is, other numbers are converted once.  Text may be ``str`` or UTF-8 ``bytes``, in
            arrays or lists.
        batch_size
            Examples computed at once.  A model of a fixed number of examples takes them in one go.

        Returns
        -------
        A float32 array, or one of int64 or text where the model gives that; for several outputs a list, or a dict by
        name if ``x`` was a dict.

        Raises
        ------
        ShapeError
            An input of the wrong rank, size or type; results whose length differs from batch to batch.
        """
        if isinstance(batch_size, bool) or not isinstance(batch_size, int) or batch_size < 1:
            raise ParameterError(f"batch_size must be an integer >= 1, got {batch_size!r}")
        arrays = self._ordered(x)
        count = len(arrays[0])
        if count <= batch_size or self.graph.states or any(one.shape[0] is not None for one in self.graph.given):
            return self._shape_result(self._compute(arrays), x)
        parts = [
            self._compute([array[start : start + batch_size] for array in arrays])
            for start in range(0, count, batch_size)
        ]
        return self._shape_result([_joined(part) for part in zip(*parts, strict=True)], x)

    def reset_states(self) -> None:
        """Begin anew: what stateful layers keep from one call to the next becomes zeros."""
        self._states = []

    def _compute(self, arrays: list[AnyArray]) -> list[AnyArray]:
        """Compute the results, and keep the states."""
        if not self.graph.states:
            return self._run(arrays)
        states = self._states or self.graph.zero_states()
        outputs, count = self._run([*arrays, *states]), len(self.graph.results)
        self._states = [array.copy() for array in outputs[count:]]
        return outputs[:count]

    def _run(self, arrays: list[AnyArray]) -> list[AnyArray]:
        """Run the plan; it is made at the first call, and anew for other weights."""
        if not all(array.size for array in arrays):
            return self.graph.forward(arrays)  # nothing to compute: no plan is made for it
        program = self._program
        if program is None or program.graph is not self.graph:
            self._program = program = Stages(self.graph)
        return program.run(arrays)

    def _ordered(self, x: Arrays) -> list[AnyArray]:
        """Give one checked array an input, of its dtype, all of the same batch size."""
        wanted = self.graph.given
        if isinstance(x, np.ndarray):
            given: list[npt.ArrayLike] = [x]
        elif isinstance(x, Mapping):
            names = [one.name for one in wanted]
            if set(x) != set(names):
                raise ShapeError(f"the inputs are named {', '.join(names)}; got {', '.join(map(str, x)) or 'none'}")
            given = [x[name] for name in names]
        elif isinstance(x, (list, tuple)) and (len(wanted) > 1 or [type(item) for item in x] == [np.ndarray]):
            given = list(x)
        else:
            given = [x]  # type: ignore[list-item]  # one input: whatever NumPy can make an array of
        self.graph.check_count(len(given))
        arrays = []
        for one, value in zip(wanted, given, strict=True):
            array = as_dtype(one.dtype, f"input {one.name!r}", value)
            self.graph.check(one.name, array, one.shape)
            arrays.append(array)
        if len(arrays) > 1 and len({len(array) for array in arrays}) != 1:
            sizes = ", ".join(f"{one.name} {len(array)}" for one, array in zip(wanted, arrays, strict=True))
            raise ShapeError(f"the inputs have different numbers of examples: {sizes}")
        return arrays

    def _shape_result(self, outputs: list[AnyArray], x: Arrays) -> Result:
        outputs = [array.astype(np.str_) if array.dtype == object else array for array in outputs]
        if len(outputs) == 1:
            return outputs[0]
        if isinstance(x, Mapping):
            return {end.name: array for end, array in zip(self.graph.results, outputs, strict=True)}
        return outputs

    # --- weights ------------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Array]:
        """Give all weights by name: ``"<node>.<tensor>"``, layouts as in PyTorch."""
        return {f"{n}.{t}": array for n, module in self.graph.modules() for t, array in module.tensors().items()}

    def load_state_dict(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Replace all weights.

        Raises
        ------
        MissingWeightsError
            A weight that a module needs is not in ``state``.
        ParameterError
            ``state`` has a weight that no module has.
        ShapeError
            A weight of the wrong shape.
        """
        left = dict(state)
        replacements: dict[str, Module] = {}
        for name, module in self.graph.modules():
            tensors = {}
            for tensor in module.tensor_shapes():
                if f"{name}.{tensor}" not in left:
                    raise MissingWeightsError(f"No weights found for module {module}: {name}.{tensor}")
                tensors[tensor] = left.pop(f"{name}.{tensor}")
            replacements[name] = module.with_tensors(tensors)
        if left:
            raise ParameterError(f"no module has the weights {', '.join(sorted(left)[:5])}")
        self.graph, self.check = self.graph.with_modules(replacements), None

    # --- people and files ---------------------------------------------------------------------------------------------

    def summary(self) -> str:
        """Give a table: name, module, output shape, parameters."""
        return graph_table(self.name, self.graph)

    def save(self, path: Path, weights: Literal["inline", "sidecar"] = "inline", *, check: bool = False) -> None:
        """Write a JSON checkpoint.

        Parameters
        ----------
        path
            The JSON file; it is replaced at once or not at all.
        weights
            ``"inline"``: base64 in the JSON; ``"sidecar"``: a ``.safetensors`` file beside it.
        check
            Whether to work out an example, in float64, which ``keydnn verify`` and ``load(..., verify=True)`` replay
            (seconds for a large model).  A check that the model was loaded with is kept in any case.

        Raises
        ------
        CheckpointError
            It cannot be written.
        """
        if check and self.check is None:
            from keydnn.verify import selfcheck  # the reference is not needed to predict

            self.check = selfcheck.make(self.graph)
        for _, module in self.graph.modules():
            module.require_tensors()
        source = {"name": self.name, **(self.source or {})}
        checkpoint.write(self.graph, path, weights=weights, source=source, check=self.check)

    def export(
        self,
        to: Path,
        *,
        input_layout: Literal["nhwc", "nchw"] | None = None,
        check: bool | None = None,
        python: Path | None = None,
        rtol: float = 1e-5,
    ) -> Exported:
        """Write the model for another library.

        Parameters
        ----------
        to
            ``model.pt`` (a PyTorch ``state_dict``, and ``model.py`` beside it), ``model.py``, ``model.onnx``,
            ``model.keras`` (Keras 3), or ``weights.h5`` (Keras, by layer name).
        input_layout
            For PyTorch: ``"nchw"`` takes images with channels first where the Keras model took them last.
        check, python, rtol
            Whether to run the file in its library before it is put in place (None: where the library is there), which
            Python has it, and the difference allowed, relative to the largest number of an output.

        Raises
        ------
        ExportError
            A module that the library has nothing for (all are named), a library that is missing or does not take the
            file, or a file that cannot be written.
        DivergenceError
            The library computes something else; nothing is written then.
        """
        from keydnn.export.targets import Request, export  # what it needs is not needed to predict

        request = Request(self.graph, self.name, self.source, pathlib.Path(to), input_layout)
        place = None if python is None else pathlib.Path(python)
        return export(request, check=check, python=place, rtol=rtol)

    def save_json(self, path: Path) -> None:
        """Write a JSON checkpoint, weights inline; the name that earlier KeyDNN had for :meth:`save`."""
        self.save(path)

    @classmethod
    def load_json(cls, path: Path) -> Model:
        """Read a JSON checkpoint; the name that earlier KeyDNN had for :func:`keydnn.load`."""
        return load(path)

    def __repr__(self) -> str:
        """Say the name and how large it is."""
        return f"<{type(self).__name__} {self.name!r}: {len(self.graph.nodes)} modules>"


class Sequential(Model):
    """Modules one after the other.

    Parameters
    ----------
    modules
        In order; node names are ``"0"``, ``"1"``, ... as in PyTorch.
    input_shape
        Shape of the input with the batch axis, None for free sizes, e.g. ``(None, 3, 32, 32)``.
    name
        For people.
    input_dtype
        ``"float32"``, or ``"int64"`` or ``"string"`` for a lookup.
    """

    def __init__(
        self, *modules: Module, input_shape: Shape, name: str = "sequential", input_dtype: str = "float32"
    ) -> None:
        if not modules:
            raise ParameterError("a Sequential needs at least one module")
        names = ["input", *map(str, range(len(modules)))]
        nodes = [Node(names[i + 1], module, (names[i],)) for i, module in enumerate(modules)]
        given = Input("input", tuple(input_shape), input_dtype)
        super().__init__(Graph([given], nodes, [Output("output", names[-1])]), name=name)


def _joined(parts: Sequence[AnyArray]) -> AnyArray:
    """Put the results of batches together; ShapeError if they differ in more than the number of examples."""
    try:
        return np.concatenate(parts)
    except ValueError:
        shapes = " and ".join(sorted({shape_text((None, *part.shape[1:])) for part in parts})[:2])
        raise ShapeError(
            f"the batches give results of different shapes, {shapes}: pass all examples at once (batch_size=len(x))"
        ) from None


def from_keras(
    source: Source,
    *,
    strict: bool = True,
    allow_non_linear_activation: bool = False,
    channels_last: Literal["transpose"] | None = None,
    architecture: Given | None = None,
    max_weights: int = 4 << 30,
    timeout: float = 10.0,
    lambdas: Mapping[str, str] | None = None,
) -> Model:
    """Import a Keras model, without Keras.

    Parameters
    ----------
    source
        Path of a ``.h5``, ``.hdf5`` or ``.keras`` file, a ``.keras`` folder, or a file of weights only (``.h5``,
        ``.weights.h5``, ``.weights.json``); or a live ``keras.Model``, if the caller has Keras.
    strict
        If False, both switches below are on.  They change the form only; ``model.source["rewrites"]`` lists what was
        done, and where a float16 or float64 model is computed in float32.
    allow_non_linear_activation
        Allow ``Dense(..., activation="relu")`` and its like: the activation becomes a module of its own.
    channels_last
        ``"transpose"`` allows ``data_format="channels_last"``: the model keeps its input and output shapes, is computed
        with channels first, and has explicit Permute modules where the layout changes.
    architecture
        What a file of weights only belongs to: the path of a JSON file that Keras' ``model.to_json()`` gave (or the
        ``config.json`` of a ``.keras``), or the text itself.
    max_weights
        Bytes that all weights of the file may have together.
    timeout
        Seconds that the HDF5 library, which runs in a process of its own, may take for one answer (beside what reading
        numbers takes).
    lambdas
        What ``Lambda`` layers, whose code is never run, stand for: an expression (``"x / 255"``, see
        ``docs/lambda.md``) by the layer's name.

    Returns
    -------
    Model

    Raises
    ------
    KerasInteropError
        The model cannot be imported as asked; the message and ``.obstacles`` list everything that stands in the way.
    KerasFileError
        The file is damaged or no Keras file.
    MissingArchitectureError
        The file has weights only, and no architecture is given; ``.arrays`` lists what it has.
    MissingWeightsError
        A weight is missing.
    ParameterError
        A statement in ``lambdas`` that is no expression, or about a layer that is no Lambda of the file.
    """
    if channels_last not in (None, "transpose"):
        raise ParameterError(f'channels_last must be "transpose" or None, got {channels_last!r}')
    from keydnn.convert import Limits, Options, convert

    options = Options(
        allow_non_linear_activation=allow_non_linear_activation or not strict,
        channels_last=channels_last == "transpose" or not strict,
        lambdas=dict(lambdas or {}),
    )
    conversion = convert(source, options, architecture, limits=Limits(max_weights, timeout))
    return Model(conversion.require_graph(), name=conversion.name, source=source_record(conversion))


def source_record(conversion: Conversion) -> dict[str, Any]:
    """Give what a checkpoint says about where its model came from."""
    return {
        "file": conversion.source.encode("utf-8", "backslashreplace").decode(),  # names may hold bytes that are no text
        "keras_version": conversion.keras_version,
        "rewrites": [{"layer": r.layer, "class": r.class_name, "what": r.what} for r in conversion.rewrites],
    }


def load(path: Path, *, verify: bool = False) -> Model:
    """Read a JSON checkpoint that :meth:`Model.save`, ``keydnn convert`` or an earlier KeyDNN wrote.

    Parameters
    ----------
    path
        The JSON file.
    verify
        Whether to replay the check that the checkpoint carries, as ``keydnn verify`` does.

    Raises
    ------
    DivergenceError
        With ``verify``: the model does not compute what it did when it was converted.
    CheckpointError
        The file is no checkpoint, damaged, or asks for what this version does not know; with ``verify``: it carries no
        check.
    MissingWeightsError
        It lacks weights.
    """
    found = checkpoint.read(path)
    source = dict(found.source or {})
    model = Model(found.graph, name=str(source.pop("name", "model")), source=source or None)
    model.check = found.check
    if verify:
        from keydnn.verify import selfcheck  # the reference is not needed to predict

        selfcheck.require(str(path), model.graph, model.check)
    return model
