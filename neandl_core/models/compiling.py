"""Whether the compiled kernels of the BiLSTM and its optimiser can be used on this machine."""

from __future__ import annotations

from functools import cache


@cache
def obstacle() -> str:
    """Return why the compiled kernels cannot be used on this machine; empty if they can, as nearly everywhere.

    numba keeps what it compiled beside the modules or in the user's cache folder, so only a machine's first process
    compiles (some 10 s). It fails where neither can be written, or where LLVM does not know the processor.
    """
    try:
        from neandl_core.numba_start import numba
    except (ImportError, OSError, RuntimeError) as error:
        return f"numba cannot be loaded ({error})"
    try:
        from neandl_core.models import fused_lstm, row_kernels

        fused_lstm.compile_kernels()
        row_kernels.compile_kernels()
    except (numba.core.errors.NumbaError, ImportError, OSError, RuntimeError) as error:
        return f"numba cannot compile here ({str(error).splitlines()[0]})"
    return ""
