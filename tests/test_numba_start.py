"""numba's shortened start: the same types, the same refusals, and cached functions in a fresh process."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from neandl_core.numba_start import numba
from tests.engine_helpers import ROOT

FRESH = """
import sys
import numpy as np
from neandl_core.io.records import whole_records
print(whole_records(np.zeros(0, np.uint8))[1])
import numba
@numba.njit
def both(values, words):
    words.append("b")
    return np.sort(values)[::-1].sum(), len("".join(words)), np.zeros(3)
print(both(np.arange(4.0), numba.typed.List(["a"])))
"""


def test_arrays_have_the_types_that_numba_gives_them():
    frozen = np.arange(3)
    frozen.flags.writeable = False
    grid = np.zeros((4, 6), np.float32)
    for array, layout in ((grid, "C"), (grid.T, "F"), (grid[::2, ::2], "A"), (frozen, "C"), (grid != 0, "C")):
        kind = numba.typeof(array)
        assert isinstance(kind, numba.types.Array)
        assert (kind.ndim, kind.layout, kind.mutable) == (array.ndim, layout, array.flags.writeable)
        assert numba.np.numpy_support.as_dtype(kind.dtype) == array.dtype
    assert numba.typeof(np.array(["ACG"])).dtype.count == 3
    with pytest.raises(numba.core.errors.TypingError, match="MaskedArray"):
        numba.typeof(np.ma.masked_array([1, 2], [True, False]))


def test_cached_functions_and_new_ones_work_in_a_fresh_process():
    """A second process loads what the first has compiled; it then compiles what needs all that was put off."""
    for _ in range(2):
        said = subprocess.run([sys.executable, "-c", FRESH], capture_output=True, text=True, cwd=ROOT, check=True)
        assert said.stdout.splitlines() == ["0", "(6.0, 2, array([0., 0., 0.]))"]


def test_a_fresh_process_that_counts_reads_nothing_that_only_serves_to_set_numba_up():
    code = "import neandl_core.damage, sys; print({'yaml', 'numba.np.arrayobj'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "set()"
