"""What comes out of every layer while a model runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .graph import Children, children_of, is_model


class Frame:
    """A layer that is being called: its path, which of its calls it is, how often what is inside has been called."""

    def __init__(self, path: str, call: int, children: Children) -> None:
        self.path, self.call, self.children = path, call, children
        self.counts: dict[int, int] = {}


class Watch:
    """Sees every layer's outputs while a model runs.

    Parameters
    ----------
    model
        The model.
    keep
        Called with a layer's path, the layer, which of its calls it is, and what it gave.
    """

    def __init__(self, model: Any, keep: Callable[[str, Any, int, Any], None]) -> None:
        self._model, self._keep = model, keep
        self._frames: list[Frame] = []
        self._children: dict[int, Children] = {}
        self._before: list[tuple[Any, Any]] = []

    def __enter__(self) -> Watch:
        """Put a wrapper around every ``call``."""
        self._wrap(self._model)
        return self

    def __exit__(self, *what: Any) -> None:
        """Take the wrappers away."""
        for layer, before in self._before:
            if before is None:
                del vars(layer)["call"]
            else:
                vars(layer)["call"] = before

    def _wrap(self, layer: Any) -> None:
        if id(layer) in self._children:
            return
        self._children[id(layer)] = children = children_of(layer)
        self._before.append((layer, vars(layer).get("call")))
        vars(layer)["call"] = self._wrapper(layer, layer.call)
        for child, _, _ in children.values():
            self._wrap(child)

    def _wrapper(self, layer: Any, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*args: Any, **kwargs: Any) -> Any:
            frame = self._enter(layer)
            self._frames.append(frame or Frame("", 0, {}))
            try:
                result = call(*args, **kwargs)
            finally:
                self._frames.pop()
            if frame is not None and not is_model(layer):
                self._keep(frame.path, layer, frame.call, result)
            return result

        return watched

    def _enter(self, layer: Any) -> Frame | None:
        if not self._frames:
            return Frame("", 0, self._children[id(layer)])
        outer = self._frames[-1]
        _, name, places = outer.children.get(id(layer), (None, "", []))
        count = outer.counts.get(id(layer), 0)
        outer.counts[id(layer)] = count + 1
        if count >= len(places):
            return None
        path = f"{outer.path}/{name}" if outer.path else name
        return Frame(path, outer.call * len(places) + places[count], self._children[id(layer)])
