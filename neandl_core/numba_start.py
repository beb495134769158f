"""numba, started in half the time; import this before the first compiled function is called.

A command on a small file takes as long as its imports. Two parts of numba's start serve only to compile, and what is
compiled lies in a cache after the first run.
"""

from __future__ import annotations

import sys
from typing import Any


def _load_without_linear_algebra() -> None:
    """Have numba load its support for arrays without scipy.linalg, which nothing here uses and which doubles its start.

    Only numba's own look-up finds it missing; whoever imports it later gets it.
    """
    hidden = "scipy.linalg.cython_blas"
    if hidden not in sys.modules:
        sys.modules[hidden] = None
        try:
            import numba.np.arraymath  # noqa: F401
        finally:
            del sys.modules[hidden]


def _load_cached_as_it_is() -> None:
    """Have numba load a cached function without first learning all that it could compile, which takes 0.2 s.

    What is not in the cache is compiled as ever: the compiler itself learns first.
    """
    from numba.core.caching import Cache
    from numba.core.runtime import rtsys

    def load_overload(self: Cache, signature: Any, target: Any) -> Any:
        rtsys.initialize(target)  # of what is learned, this alone serves to run
        with self._guard_against_spurious_io_errors():
            return self._load_overload(signature, target)

    Cache.load_overload = load_overload


_load_without_linear_algebra()
_load_cached_as_it_is()
