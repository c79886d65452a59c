"""States that stateful recurrent layers keep from one call of the model to the next."""

from __future__ import annotations

from collections.abc import Sequence

from keydnn.convert.build.call import LayerCall, Value
from keydnn.modules.base import Shape


class States:
    """The first states of a recurrent layer: given to the call, kept from the model's last call, or zeros.

    Attributes
    ----------
    first
        One value a state; none where they are zeros.
    kept
        Whether they are those of the model's last call.
    """

    def __init__(self, call: LayerCall, x: Value, given: Sequence[Value], names: str, sizes: Shape) -> None:
        """Find the states.

        Parameters
        ----------
        call, x
            The layer's call, and its input.
        given
            What the call gives, if anything.
        names
            One letter a state.
        sizes
            Of each state, without the batch.
        """
        if len(given) not in (0, len(names)):
            found = f"{len(given)} initial states"
            call.obstacle(f"with {found}", f"{found}, where {len(names)} are expected")
            call.stop()
        stateful = call.boolean("stateful", False)
        if stateful and given and call.version < (3,):
            call.obstacle(
                "with stateful=True and initial states", "stateful=True with initial states, which count once"
            )
            call.stop()
        self._call, self.first, self.kept = call, list(given), stateful and not given
        if not self.kept:
            return
        if x.shape[0] is None or not call.is_only:
            why = "called more than once" if x.shape[0] is not None else "without a fixed batch size"
            call.obstacle(f"with stateful=True, {why}", f"stateful=True, {why}")
            call.stop()
        self.first = [call.state(f"state_{name}", (x.shape[0], *sizes)) for name in names]

    def keep(self, last: Sequence[Value]) -> None:
        """Say what the states are in the end, for the model's next call."""
        if self.kept:
            for state, value in zip(self.first, last, strict=True):
                self._call.keep(state, value)
