"""Gradients of a loss by the state of a recurrent layer at each time step, by autograd on cells that are called one by one: what
Triga says it finds inside of its fused layers. One sequence at a time, without packing or padding."""

import torch

CELLS = {torch.nn.LSTM: torch.nn.LSTMCell, torch.nn.GRU: torch.nn.GRUCell, torch.nn.RNN: torch.nn.RNNCell}


class Unrolled:
    """A module torch.nn.LSTM, GRU or RNN in fp64 that remembers its states, to be asked for their gradients."""

    def __init__(self, module):
        self.module = module.double()
        self.states = {}  # (layer, name) -> one list of states by time for each sequence

    def __call__(self, x):
        """x [T, D] -> [T, directions * H], and what the last layer remembers at the end, [directions * H]."""
        for layer in range(self.module.num_layers):
            outputs, lasts = [], []
            for end in ("", "_reverse") if self.module.bidirectional else ("",):
                hidden = self.run(layer, end, x)
                outputs.append(torch.cat(hidden))
                lasts.append((hidden[0] if end else hidden[-1])[0])
            x = torch.cat(outputs, dim=1)
        return x, torch.cat(lasts)

    def run(self, layer, end, x):
        cell = self.cell(layer, end)
        is_lstm = isinstance(cell, torch.nn.LSTMCell)
        hidden = [None] * len(x)
        memory = [None] * len(x)
        state = None
        for time in reversed(range(len(x))) if end else range(len(x)):
            state = cell(x[time : time + 1], state)  # without a batch the cell gives views of its states
            hidden[time], memory[time] = state if is_lstm else (state, None)
            for tensor in (hidden[time], memory[time]):
                if tensor is not None:
                    tensor.retain_grad()
        self.states.setdefault(f"rnn.{layer}.hidden{end}", []).append(hidden)
        if is_lstm:
            self.states.setdefault(f"rnn.{layer}.cell{end}", []).append(memory)
        return hidden

    def cell(self, layer, end):
        options = {"nonlinearity": self.module.nonlinearity} if isinstance(self.module, torch.nn.RNN) else {}
        weight = getattr(self.module, f"weight_ih_l{layer}{end}")
        cell = CELLS[type(self.module)](weight.shape[1], self.module.hidden_size, **options).double()
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            setattr(cell, name, getattr(self.module, f"{name}_l{layer}{end}"))
        return cell

    def norms(self):
        """After backward: by name, over all sequences, at each time step."""
        norms = {}
        for name, sequences in self.states.items():
            sums = torch.zeros(max(len(states) for states in sequences), dtype=torch.float64)
            for states in sequences:
                for time, state in enumerate(states):
                    if state.grad is not None:
                        sums[time] += state.grad.square().sum()
            norms[name] = sums.sqrt()
        return norms


def assert_same_norms(results, unrolled):
    """Relative to each norm itself, so that those that have nearly vanished count as much."""
    ours = {n.removeprefix("gradient_norms."): t for n, t in results.items() if n.startswith("gradient_norms.")}
    theirs = unrolled.norms()
    assert ours.keys() == theirs.keys(), ours.keys() ^ theirs.keys()
    worst = 0.0
    for name, norms in theirs.items():
        length = len(norms)
        assert not ours[name][length:].any() and len(ours[name]) >= length, name  # padding has no gradient
        assert norms.count_nonzero() > 0.5 * length, name
        error = ((ours[name][:length] - norms).abs() / (norms + 1e-12)).max().item()
        assert error < 1e-4, f"gradients of {name} differ by {error:.3g}"
        worst = max(worst, error)
    return worst
