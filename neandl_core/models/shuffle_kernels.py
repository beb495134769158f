"""What a BiLSTM says of windows in which one k-mer was exchanged, at each place in turn, compiled.

Nothing before the exchanged k-mer changes for the forward direction, and nothing behind it for the reverse one. So a
window is read once in each direction with all states kept, and each exchange starts from the state at its place: both
directions together take as many steps as the window has k-mers, half of reading it anew. The share of the gates that
comes from the k-mers themselves is kept as well. Results are those of reading the changed window whole.

Layout and sizes are those of `lstm_kernels`: blocks of `LANES` windows, the window as the last axis.
"""

from __future__ import annotations

import numpy as np

from neandl_core.models.lstm_kernels import GATES, INPUTS, LANES, SIZE, hash_kmers, sigmoid, tanh
from neandl_core.numba_start import numba

_ROW = SIZE * LANES
_GATES = GATES * LANES
F = np.float32
_OPTIONS = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"contract", "reassoc", "nsz", "arcp"}}


@numba.njit(**_OPTIONS)
def add_kmer(weights, bias, embedding, kmers, inputs, drive):
    """Fill drive (gates, lanes) flat: the bias and what a step's k-mers add to the gates.

    Parameters: weights (gates * 2 size,), of which the first `size` of each gate are used; kmers (lanes,); inputs
    (size, lanes) flat is room.
    """
    for lane in range(LANES):
        row = np.int64(kmers[lane]) * SIZE
        for j in range(SIZE):
            inputs[j * LANES + lane] = embedding[row + j]
    for g in range(GATES):
        for lane in range(LANES):
            total = bias[g]
            for j in range(SIZE):
                total += weights[g * INPUTS + j] * inputs[j * LANES + lane]
            drive[g * LANES + lane] = total


@numba.njit(**_OPTIONS)
def advance(weights, drive, gates, hidden, cell):
    """Take one step: hidden and cell (size, lanes) flat are replaced; gates (gates, lanes) flat is room."""
    for g in range(GATES):
        for lane in range(LANES):
            total = drive[g * LANES + lane]
            for j in range(SIZE):
                total += weights[g * INPUTS + SIZE + j] * hidden[j * LANES + lane]
            gates[g * LANES + lane] = total
    for p in range(2 * _ROW):
        gates[p] = sigmoid(gates[p])
    for p in range(2 * _ROW, 3 * _ROW):
        gates[p] = tanh(gates[p])
    for p in range(3 * _ROW, 4 * _ROW):
        gates[p] = sigmoid(gates[p])
    for p in range(_ROW):
        cell[p] = gates[_ROW + p] * cell[p] + gates[p] * gates[2 * _ROW + p]
    for p in range(_ROW):
        hidden[p] = gates[3 * _ROW + p] * tanh(cell[p])


@numba.njit(**_OPTIONS)
def head(last, dense, dense_bias, output, output_bias, logits):
    """Fill logits (lanes,) from the last states (2 size, lanes) flat by the dense layer and the output."""
    for lane in range(LANES):
        logits[lane] = output_bias
    for h in range(SIZE):
        for lane in range(LANES):
            total = dense_bias[h]
            for j in range(INPUTS):
                total += dense[h * INPUTS + j] * last[j * LANES + lane]
            logits[lane] += output[h] * max(total, F(0))


@numba.njit(**_OPTIONS)
def exchange_block(
    codes, exchanged, block, k, embedding, weights, biases, dense, dense_bias, output, output_bias, plain, changed,
    kmers, other, drives, states, gates, now, inputs, last,
):
    """Write the logits of a block's windows, as they are and with one k-mer exchanged.

    Parameters: codes (n, width) uint8; exchanged (repeats, steps, n) int32, the k-mer to set at each place; block, its
    number; embedding (rows * size,); weights (2, gates * 2 size), biases (2, gates); dense (size * 2 size,),
    dense_bias (size,), output (size,), output_bias. Written: plain (n,), changed (repeats, steps, n). The rest is
    room, see `rooms`.
    """
    first = block * LANES
    filled = min(LANES, codes.shape[0] - first)
    repeats = exchanged.shape[0]
    steps = hash_kmers(codes, first, k, kmers)
    ends = repeats * steps
    for direction in range(2):
        side = weights[direction]
        states[: 2 * _ROW] = F(0)
        for step in range(steps):
            at = steps - 1 - step if direction == 1 else step
            drive = drives[step * _GATES : (step + 1) * _GATES]
            add_kmer(side, biases[direction], embedding, kmers[at * LANES : (at + 1) * LANES], inputs, drive)
            state = states[(step + 1) * 2 * _ROW : (step + 2) * 2 * _ROW]
            state[:] = states[step * 2 * _ROW : (step + 1) * 2 * _ROW]
            advance(side, drive, gates, state[:_ROW], state[_ROW:])
        to = (ends * 2 + direction) * _ROW
        last[to : to + _ROW] = states[steps * 2 * _ROW : steps * 2 * _ROW + _ROW]
        for at in range(steps):
            step = steps - 1 - at if direction == 1 else at
            for repeat in range(repeats):
                for lane in range(LANES):
                    other[lane] = exchanged[repeat, at, min(first + lane, codes.shape[0] - 1)]
                now[:] = states[step * 2 * _ROW : (step + 1) * 2 * _ROW]
                drive = drives[steps * _GATES :]
                add_kmer(side, biases[direction], embedding, other, inputs, drive)
                advance(side, drive, gates, now[:_ROW], now[_ROW:])
                for later in range(step + 1, steps):
                    advance(side, drives[later * _GATES : (later + 1) * _GATES], gates, now[:_ROW], now[_ROW:])
                to = ((repeat * steps + at) * 2 + direction) * _ROW
                last[to : to + _ROW] = now[:_ROW]
    logits = gates[:LANES]
    for end in range(ends + 1):
        head(last[end * 2 * _ROW : (end + 1) * 2 * _ROW], dense, dense_bias, output, output_bias, logits)
        for lane in range(filled):
            if end == ends:
                plain[first + lane] = logits[lane]
            else:
                changed[end // steps, end % steps, first + lane] = logits[lane]


def rooms(steps: int, repeats: int) -> dict[str, np.ndarray]:
    """Return the arrays that a thread works in, by the names of `exchange_block`'s parameters."""
    sizes = {
        "drives": (steps + 1) * _GATES, "states": (steps + 1) * 2 * _ROW, "gates": _GATES, "now": 2 * _ROW,
        "inputs": _ROW, "last": (repeats * steps + 1) * 2 * _ROW,
    }
    return {"kmers": np.empty(steps * LANES, np.int32), "other": np.empty(LANES, np.int32)} | {
        name: np.empty(size, F) for name, size in sizes.items()
    }
