"""A bidirectional LSTM's last states and their gradients, compiled: blocks of windows side by side in vector registers.

One block is `LANES` windows, worked on by one thread. All arrays within it are flat, with the window ("lane") as the
last and fastest axis and strides that are constants, as LLVM only then turns the loops over lanes into vector
instructions. Nothing is kept between the forward and the backward pass: the backward pass runs a block forward again
and keeps what it needs in the core's cache, which is faster than fetching 180 kB a window from memory.

Gates are in torch's order: input, forget, cell, output. A direction's steps are counted in its own order, so step 0
of the reverse direction is the last k-mer.
"""

from __future__ import annotations

import numpy as np

from neandl_core.models import BILSTM_HIDDEN
from neandl_core.numba_start import numba

LANES = 32
"""Windows in a block: two to four vector registers wide."""
SIZE = BILSTM_HIDDEN
"""Embedding and hidden size, which are the same."""
INPUTS = 2 * SIZE
GATES = 4 * SIZE
HALF = GATES // 2
STASH = 6 * SIZE
"""Numbers kept per step and lane: the four gates, tanh of the cell, the cell."""
CHUNK = 16
"""Steps whose gate gradients are multiplied with their inputs at a time; they fit into the first cache."""

_ROW = SIZE * LANES
_STEP = INPUTS * LANES
_KEPT = STASH * LANES
_PIECE = (CHUNK + 1) * LANES  # not a power of two, whose multiples would all fall into the same lines of the cache
F = np.float32

# NaN and infinity must stay what they are, so that a diverged network is noticed.
_MATH = {"contract", "reassoc", "nsz", "arcp"}
_OPTIONS = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": _MATH}


@numba.njit(inline="always", **_OPTIONS)
def tanh(x):
    """Return tanh to 2e-7: the odd rational function of degree 13 / 6 that Eigen uses."""
    x = min(max(x, F(-7.9)), F(7.9))
    s = x * x
    p = F(-2.76076847742355e-16)
    p = p * s + F(2.00018790482477e-13)
    p = p * s + F(-8.60467152213735e-11)
    p = p * s + F(5.12229709037114e-08)
    p = p * s + F(1.48572235717979e-05)
    p = p * s + F(6.37261928875436e-04)
    p = p * s + F(4.89352455891786e-03)
    q = F(1.19825839466702e-06)
    q = q * s + F(1.18534705686654e-04)
    q = q * s + F(2.26843463243900e-03)
    q = q * s + F(4.89352518554385e-03)
    return x * p / q


@numba.njit(inline="always", **_OPTIONS)
def sigmoid(x):
    """Return 1 / (1 + exp(-x))."""
    return F(0.5) + F(0.5) * tanh(F(0.5) * x)


@numba.njit(**_OPTIONS)
def hash_kmers(codes, first, k, kmers):
    """Fill kmers (steps * lanes), step-major: the numbers of a block's k-mers, 4**k where one holds an N.

    Lanes past the last window repeat it.
    """
    steps = codes.shape[1] - k + 1
    mask = np.int64(4**k - 1)
    for lane in range(LANES):
        row = min(first + lane, codes.shape[0] - 1)
        kmer = np.int64(0)
        known = 0
        for place in range(codes.shape[1]):
            base = codes[row, place]
            kmer = ((kmer << 2) | (base & 3)) & mask
            known = known + 1 if base < 4 else 0
            step = place - k + 1
            if step >= 0:
                kmers[step * LANES + lane] = kmer if known >= k else mask + 1
    return steps


@numba.njit(**_OPTIONS)
def look_up(embedding, kmers, steps, reverse, inputs):
    """Fill the embedding half of inputs (steps, 2 * size, lanes) in a direction's order; h before step 0 is zero."""
    for step in range(steps):
        source = steps - 1 - step if reverse else step
        start = step * _STEP
        for lane in range(LANES):
            row = np.int64(kmers[source * LANES + lane]) * SIZE
            for j in range(SIZE):
                inputs[start + j * LANES + lane] = embedding[row + j]
    for p in range(_ROW):
        inputs[_ROW + p] = F(0)


@numba.njit(**_OPTIONS)
def step_forward(weights, bias, inputs, kept, before, after):
    """Take one step: gates, cell and hidden state; the latter goes into the next step's inputs.

    Parameters: weights (gates * 2 size,), bias (gates,), inputs (2 steps, 2 size, lanes) flat, of this step and the
    next; kept (6 size, lanes) flat, written; before, after (size, lanes) flat, the cell, which may be one array.
    """
    for g in range(GATES):
        for lane in range(LANES):
            total = bias[g]
            for j in range(INPUTS):
                total += weights[g * INPUTS + j] * inputs[j * LANES + lane]
            kept[g * LANES + lane] = total
    for p in range(2 * _ROW):
        kept[p] = sigmoid(kept[p])
    for p in range(2 * _ROW, 3 * _ROW):
        kept[p] = tanh(kept[p])
    for p in range(3 * _ROW, 4 * _ROW):
        kept[p] = sigmoid(kept[p])
    for p in range(_ROW):
        after[p] = kept[_ROW + p] * before[p] + kept[p] * kept[2 * _ROW + p]
    for p in range(_ROW):
        kept[4 * _ROW + p] = tanh(after[p])
    for p in range(_ROW):
        inputs[_STEP + _ROW + p] = kept[3 * _ROW + p] * kept[4 * _ROW + p]


@numba.njit(**_OPTIONS)
def run_forward(weights, bias, inputs, kept, steps, keep):
    """Run a direction over a block. With `keep`, slot s + 1 of kept holds step s, and slot 0 the cell at the start."""
    cell = 5 * _ROW
    kept[cell:_KEPT] = F(0)
    before = kept[cell:_KEPT]
    slot = kept[:_KEPT]
    for step in range(steps):
        if keep:
            slot = kept[(step + 1) * _KEPT : (step + 2) * _KEPT]
        after = slot[cell:]
        step_forward(weights, bias, inputs[step * _STEP : (step + 2) * _STEP], slot, before, after)
        before = after


@numba.njit(**_OPTIONS)
def forward_block(codes, block, k, embedding, weights, biases, last, kmers, inputs, kept):
    """Write the last hidden states of both directions of a block's windows.

    Parameters: codes (n, width) uint8; block, its number; embedding (rows * size,); weights (2, gates * 2 size),
    biases (2, gates); last (n, 2 size), written; kmers, inputs, kept: room, see `rooms`.
    """
    first = block * LANES
    steps = hash_kmers(codes, first, k, kmers)
    for direction in range(2):
        look_up(embedding, kmers, steps, direction == 1, inputs)
        run_forward(weights[direction], biases[direction], inputs, kept, steps, False)
        end = steps * _STEP + _ROW
        for lane in range(min(LANES, codes.shape[0] - first)):
            for u in range(SIZE):
                last[first + lane, direction * SIZE + u] = inputs[end + u * LANES + lane]


@numba.njit(**_OPTIONS)
def step_backward(kept, slopes, back):
    """Turn the gradients of a step's hidden state and cell into those of its gates and of the cell before it.

    Parameters: kept (2 steps, 6 size, lanes) flat, of the step before and of this one; slopes (gates, chunk, lanes)
    flat from this step's place on, written at the first step; back (3, size, lanes) flat, the gradients of embedding
    (not used here), hidden state and cell.
    """
    for u in range(SIZE):
        for lane in range(LANES):
            p = u * LANES + lane
            i = kept[_KEPT + p]
            f = kept[_KEPT + _ROW + p]
            g = kept[_KEPT + 2 * _ROW + p]
            o = kept[_KEPT + 3 * _ROW + p]
            squashed = kept[_KEPT + 4 * _ROW + p]
            before = kept[5 * _ROW + p]
            hidden = back[_ROW + p]
            cell = back[2 * _ROW + p] + hidden * o * (F(1) - squashed * squashed)
            target = u * _PIECE + lane
            slopes[target] = cell * g * i * (F(1) - i)
            slopes[target + SIZE * _PIECE] = cell * before * f * (F(1) - f)
            slopes[target + 2 * SIZE * _PIECE] = cell * i * (F(1) - g * g)
            slopes[target + 3 * SIZE * _PIECE] = hidden * squashed * o * (F(1) - o)
            back[2 * _ROW + p] = cell * f


@numba.njit(**_OPTIONS)
def spread_back(turned, slopes, back):
    """Carry a step's gate gradients back to its embedding and to the hidden state before: the first two of back.

    turned (2 size, gates) flat are the weights transposed. The sum is taken in halves, as LLVM turns no more than
    some 30 terms into straight code, and without that none of the loops over lanes into vector instructions.
    """
    for j in range(INPUTS):
        for lane in range(LANES):
            total = F(0)
            for g in range(HALF):
                total += turned[j * GATES + g] * slopes[g * _PIECE + lane]
            back[j * LANES + lane] = total
        for lane in range(LANES):
            total = back[j * LANES + lane]
            for g in range(HALF):
                total += turned[j * GATES + HALF + g] * slopes[(HALF + g) * _PIECE + lane]
            back[j * LANES + lane] = total


@numba.njit(**_OPTIONS)
def gather_inputs(inputs, seen):
    """Copy a step's inputs (2 size, lanes) into seen (2 size, chunk, lanes), from this step's place on."""
    for j in range(INPUTS):
        for lane in range(LANES):
            seen[j * _PIECE + lane] = inputs[j * LANES + lane]


@numba.njit(**_OPTIONS)
def add_weight_slopes(slopes, seen, count, slope_weights, slope_bias):
    """Add slopes (gates, count) times seen (2 size, count) transposed to slope_weights, and sums to slope_bias.

    Rows of both lie a chunk apart. Two gates and five inputs at a time, so that each number loaded is used often.
    """
    for g in range(0, GATES, 2):
        a = g * _PIECE
        b = a + _PIECE
        sum_a = F(0)
        sum_b = F(0)
        for p in range(count):
            sum_a += slopes[a + p]
            sum_b += slopes[b + p]
        slope_bias[g] += sum_a
        slope_bias[g + 1] += sum_b
        for j in range(0, INPUTS, 5):
            c = j * _PIECE
            a0 = a1 = a2 = a3 = a4 = b0 = b1 = b2 = b3 = b4 = F(0)
            for p in range(count):
                x = slopes[a + p]
                y = slopes[b + p]
                v0 = seen[c + p]
                v1 = seen[c + _PIECE + p]
                v2 = seen[c + 2 * _PIECE + p]
                v3 = seen[c + 3 * _PIECE + p]
                v4 = seen[c + 4 * _PIECE + p]
                a0 += x * v0
                a1 += x * v1
                a2 += x * v2
                a3 += x * v3
                a4 += x * v4
                b0 += y * v0
                b1 += y * v1
                b2 += y * v2
                b3 += y * v3
                b4 += y * v4
            to = g * INPUTS + j
            slope_weights[to] += a0
            slope_weights[to + 1] += a1
            slope_weights[to + 2] += a2
            slope_weights[to + 3] += a3
            slope_weights[to + 4] += a4
            to += INPUTS
            slope_weights[to] += b0
            slope_weights[to + 1] += b1
            slope_weights[to + 2] += b2
            slope_weights[to + 3] += b3
            slope_weights[to + 4] += b4


@numba.njit(**_OPTIONS)
def run_backward(turned, inputs, kept, back, slopes, seen, steps, reverse, slope_inputs, slope_weights, slope_bias):
    """Run a direction backward over a block that `run_forward` kept; add to all three slopes."""
    end = steps
    while end > 0:
        count = min(CHUNK, end)
        begin = end - count
        for step in range(end - 1, begin - 1, -1):
            place = (step - begin) * LANES
            here = slopes[place:]
            step_backward(kept[step * _KEPT : (step + 2) * _KEPT], here, back)
            at = (steps - 1 - step if reverse else step) * _ROW
            spread_back(turned, here, back)
            for p in range(_ROW):
                slope_inputs[at + p] += back[p]
            gather_inputs(inputs[step * _STEP : (step + 1) * _STEP], seen[place:])
        add_weight_slopes(slopes, seen, count * LANES, slope_weights, slope_bias)
        end = begin


@numba.njit(**_OPTIONS)
def backward_block(
    codes, block, k, embedding, weights, biases, turned, slope_last, slope_weights, slope_biases, slope_kmers,
    all_kmers, kmers, inputs, kept, back, slopes, seen, slope_inputs,
):
    """Write the gradients of a block.

    Parameters: the first six as of `forward_block`; turned (2, 2 size * gates), the weights transposed; slope_last
    (n, 2 size), the gradients of the last states. Written: slope_weights (blocks, 2, gates * 2 size), slope_biases
    (blocks, 2, gates), slope_kmers (n, steps, size), the gradient at each place, zero where an N is, and all_kmers
    (n, steps) int64, the row of the embedding that it belongs to. The rest is room, see `rooms`.
    """
    first = block * LANES
    filled = min(LANES, codes.shape[0] - first)
    steps = hash_kmers(codes, first, k, kmers)
    unknown = 4**k
    slope_inputs[: steps * _ROW] = F(0)
    for direction in range(2):
        look_up(embedding, kmers, steps, direction == 1, inputs)
        run_forward(weights[direction], biases[direction], inputs, kept, steps, True)
        back[:] = F(0)
        for lane in range(filled):
            for u in range(SIZE):
                back[_ROW + u * LANES + lane] = slope_last[first + lane, direction * SIZE + u]
        slope_weights[block, direction] = F(0)
        slope_biases[block, direction] = F(0)
        run_backward(
            turned[direction], inputs, kept, back, slopes, seen, steps, direction == 1, slope_inputs,
            slope_weights[block, direction], slope_biases[block, direction],
        )
    for lane in range(filled):
        for step in range(steps):
            kmer = kmers[step * LANES + lane]
            all_kmers[first + lane, step] = kmer
            for j in range(SIZE):
                slope = slope_inputs[step * _ROW + j * LANES + lane]
                slope_kmers[first + lane, step, j] = slope if kmer < unknown else F(0)


def rooms(steps: int) -> dict[str, np.ndarray]:
    """Return the arrays that a thread works in, by the names of the kernels' parameters."""
    sizes = {
        "inputs": (steps + 1) * _STEP, "kept": (steps + 1) * _KEPT, "back": 3 * _ROW, "slopes": GATES * _PIECE,
        "seen": INPUTS * _PIECE, "slope_inputs": steps * _ROW,
    }
    return {"kmers": np.empty(steps * LANES, np.int32)} | {name: np.empty(n, F) for name, n in sizes.items()}
