"""RMSprop on the rows of an embedding that a batch meets, compiled."""

from __future__ import annotations

import numpy as np

from neandl_core.numba_start import numba

_OPTIONS = {
    "nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"contract", "reassoc", "nsz", "arcp"}
}


@numba.njit(**_OPTIONS)
def number_rows(met, slots, rows, places):
    """Return how many different rows there are, and number them in the order in which they are met.

    Parameters: met (m,) int64, rows, some more than once; slots (rows of the embedding,) int32, zeros, left as zeros;
    rows (m,) int64, written: the rows by number; places (m,) int32, written: the number of each row met.
    """
    count = 0
    for p in range(len(met)):
        row = met[p]
        if slots[row] == 0:
            rows[count] = row
            count += 1
            slots[row] = count
        places[p] = slots[row] - 1
    for p in range(count):
        slots[rows[p]] = 0
    return count


@numba.njit(**_OPTIONS)
def sum_rows(places, slopes, first, sums):
    """Sum the gradients of the rows numbered from `first` on into sums (rows, width).

    places (m,) int32 are as of `number_rows`, slopes (m, width) the gradients.
    """
    sums[:] = 0
    for p in range(len(places)):
        place = places[p] - first
        if 0 <= place < len(sums):
            for j in range(slopes.shape[1]):
                sums[place, j] += slopes[p, j]


@numba.njit(**_OPTIONS)
def step_rows(rows, slopes, parameter, squares, last, step, decays, rate, alpha, eps):
    """Take RMSprop's step with the summed gradients of some rows.

    Parameters: rows (n,) int64; slopes (n, width); parameter, squares (all rows, width) and last (all rows,),
    changed: values, mean of squares, and the step at which a row was last met; step, the number of this one; decays,
    float32, the powers of alpha up to the last that is not zero; the rest are RMSprop's constants.
    """
    rate, share, eps = np.float32(rate), np.float32(1 - alpha), np.float32(eps)
    for place in range(len(rows)):
        row = rows[place]
        missed = step - last[row]
        decay = decays[missed] if missed < len(decays) else np.float32(0)
        last[row] = step
        for j in range(slopes.shape[1]):
            slope = slopes[place, j]
            square = squares[row, j] * decay + share * slope * slope
            squares[row, j] = square
            parameter[row, j] -= rate * slope / (np.sqrt(square) + eps)


def compile_kernels() -> None:
    """Compile the kernels, or load what was compiled before, by a step on two rows."""
    rows, places, values = np.zeros(2, np.int64), np.zeros(2, np.int32), np.zeros((2, 10), np.float32)
    count = number_rows(np.zeros(2, np.int64), np.zeros(2, np.int32), rows, places)
    sum_rows(places, values, 0, values[:count].copy())
    last = np.zeros(2, np.int32)
    step_rows(rows[:count], values[:count], values.copy(), values.copy(), last, 1, values[0], 0.1, 0.9, 0.1)
