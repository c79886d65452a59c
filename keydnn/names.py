"""Names for what a conversion makes: never one that the model has itself."""

from __future__ import annotations

from collections.abc import Iterable


class Names:
    """All names in use."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def new(self, wanted: str) -> str:
        """Give a name, with a number behind it if it is taken, and take it."""
        name, count = wanted, 1
        while name in self._taken:
            count += 1
            name = f"{wanted}_{count}"
        self._taken.add(name)
        return name
