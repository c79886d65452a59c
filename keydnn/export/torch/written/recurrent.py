"""Recurrent layers with what Keras has and torch has not: masks, and any activation."""

import torch
import torch.nn.functional as F
from torch import nn


class KerasRNN(nn.Module):
    """``h = activation(W x + U h)``; a step whose mask is 0 is skipped."""

    gates, count = 1, 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        activation=torch.tanh,
        recurrent_activation=torch.sigmoid,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        zero_output_for_mask: bool = False,
    ) -> None:
        super().__init__()
        rows = self.gates * hidden_size
        self.weight_ih = nn.Parameter(torch.zeros(rows, input_size))
        self.weight_hh = nn.Parameter(torch.zeros(rows, hidden_size))
        self.bias_ih = nn.Parameter(torch.zeros(rows)) if bias else None
        self.activation = activation
        self.recurrent_activation = recurrent_activation
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.zero_output_for_mask = zero_output_for_mask

    def forward(
        self,
        x: torch.Tensor,
        mask: torch.Tensor | None = None,
        states: tuple[torch.Tensor, ...] | None = None,
    ) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Go through (N, T, ...); the last states follow if they are wanted."""
        if states is None:
            zeros = x.new_zeros(x.shape[0], self.weight_hh.shape[1], *x.shape[3:])
            states = (zeros,) * self.count
        x = self.project(x)
        output, outputs = torch.zeros_like(states[0]), []
        steps = range(x.shape[1])
        for t in reversed(steps) if self.go_backwards else steps:
            new = self.step(x[:, t], *states)
            if mask is None:
                output, states = new[0], new
            else:
                here = mask[:, t].reshape(-1, *[1] * (output.ndim - 1)) != 0
                skipped = 0.0 if self.zero_output_for_mask else output
                output = torch.where(here, new[0], skipped)
                pairs = zip(new, states, strict=True)
                states = tuple(torch.where(here, *pair) for pair in pairs)
            outputs.append(output)
        if self.return_sequences:
            output = torch.stack(outputs, dim=1)
        return (output, *states) if self.return_state else output

    def project(self, x: torch.Tensor) -> torch.Tensor:
        """Give what the input adds to the gates of all steps."""
        return F.linear(x, self.weight_ih, self.bias_ih)

    def recur(self, h: torch.Tensor) -> torch.Tensor:
        """Give what the state adds to the gates."""
        return F.linear(h, self.weight_hh)

    def step(self, x: torch.Tensor, *states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Give the next states; the first is the output."""
        return (self.activation(x + self.recur(*states)),)


class KerasLSTM(KerasRNN):
    """Long short-term memory; gates in the order i, f, g, o."""

    gates, count = 4, 2

    def step(self, x: torch.Tensor, *states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Give h and c."""
        h, c = states
        i, f, g, o = (x + self.recur(h)).chunk(4, dim=1)
        i, f, o = (self.recurrent_activation(gate) for gate in (i, f, o))
        c = f * c + i * self.activation(g)
        return o * self.activation(c), c


class KerasGRU(KerasRNN):
    """Gated recurrent unit; gates in the order r, z, n."""

    gates = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        reset_after: bool = True,
        **options,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, **options)
        both = bias and reset_after
        self.bias_hh = nn.Parameter(torch.zeros(3 * hidden_size)) if both else None
        self.reset_after = reset_after

    def step(self, x: torch.Tensor, *states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Give h; r is of the product, or of the state before."""
        (h,) = states
        r, z, n = x.chunk(3, dim=1)
        if self.reset_after:
            r_h, z_h, n_h = F.linear(h, self.weight_hh, self.bias_hh).chunk(3, dim=1)
            r, z = (
                self.recurrent_activation(r + r_h),
                self.recurrent_activation(z + z_h),
            )
            n = self.activation(n + r * n_h)
        else:
            w_r, w_z, w_n = self.weight_hh.chunk(3)
            r = self.recurrent_activation(r + F.linear(h, w_r))
            z = self.recurrent_activation(z + F.linear(h, w_z))
            n = self.activation(n + F.linear(r * h, w_n))
        return (z * h + (1 - z) * n,)


class KerasConvLSTM(KerasLSTM):
    """LSTM whose products are convolutions; its input is convolved before it."""

    def __init__(self, channels: int, kernel_size: tuple[int, ...], **options) -> None:
        super().__init__(0, channels, bias=False, **options)
        del self.weight_ih
        self.weight_hh = nn.Parameter(torch.zeros(4 * channels, channels, *kernel_size))
        sides = [((size - 1) // 2, size // 2) for size in reversed(kernel_size)]
        self.pads = [cells for side in sides for cells in side]
        self.conv = (F.conv1d, F.conv2d, F.conv3d)[len(kernel_size) - 1]

    def project(self, x: torch.Tensor) -> torch.Tensor:
        """Give what is there."""
        return x

    def recur(self, h: torch.Tensor) -> torch.Tensor:
        """Convolve, with the size kept."""
        return self.conv(F.pad(h, self.pads), self.weight_hh)


def with_states(output: torch.Tensor, *states: torch.Tensor) -> torch.Tensor:
    """Put states behind an output, or behind the steps of several."""
    last = torch.stack(states, dim=1)
    steps = output if output.ndim == last.ndim else output.unsqueeze(1)
    return torch.cat([steps, last], dim=1)
