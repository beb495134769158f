"""numba, started in half the time; import this before the first compiled function is called.

A command on a small file takes as long as its imports. Most of numba's start serves only to compile, and what is
compiled lies in a cache after the first run.
"""

from __future__ import annotations

from typing import Any

from numba.core.caching import Cache
from numba.core.runtime import rtsys


def _load_overload(self: Cache, signature: Any, target: Any) -> Any:
    """Load a cached function without first learning all that numba could compile, which takes 0.3 s.

    What is not in the cache is compiled as ever: the compiler itself learns first.
    """
    rtsys.initialize(target)  # of what is learned, this alone serves to run
    with self._guard_against_spurious_io_errors():
        return self._load_overload(signature, target)


Cache.load_overload = _load_overload
