"""numba, started in half the time: what is compiled takes it from here.

A command on a small file takes as long as its imports. Most of numba's start serves only to compile, and what is
compiled lies in a cache after the first run. What is put off here is done when something has to be compiled after all.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

if "yaml" not in sys.modules:
    # numba reads it to look for settings of its own in the working folder; without it, it reads none (0.01 s).
    sys.modules["yaml"] = None  # type: ignore[assignment]
    import numba

    del sys.modules["yaml"]
else:
    import numba
from llvmlite import binding
from numba.core import environment, types
from numba.core.caching import Cache
from numba.core.runtime import _nrt_python
from numba.core.typing.typeof import typeof_impl
from numba.np import numpy_support

__all__ = ["numba"]

_rebuild_as_numba_does = environment._rebuild_env


def _load_overload(self: Cache, signature: Any, target: Any) -> Any:
    """Load a cached function without first learning all that numba could compile, which takes 0.3 s.

    Of numba's runtime a cached function needs the addresses of its C functions; the part that numba compiles at its
    start (0.05 s) is linked into every function that uses it.
    """
    for name, address in _nrt_python.c_helpers.items():
        binding.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)
    with self._guard_against_spurious_io_errors():
        return self._load_overload(signature, target)


def _rebuild_env(module: str, constants: list[Any], name: str) -> environment.Environment:
    """Make the environment of a cached function, without importing the part of numba that its source is in (0.05 s).

    Compiled code reads the constants alone; the module's names serve code that falls back to the interpreter, which is
    ours or not cached.
    """
    if not module.startswith("numba.") or module in sys.modules or environment.lookup_environment(name) is not None:
        return _rebuild_as_numba_does(module, constants, name)
    made = environment.Environment({"__name__": module})
    made.consts[:] = constants
    made.env_name = name
    environment.Environment._memo[name] = made
    return made


def _typeof_array(array: np.ndarray, _: Any) -> types.Array:
    """Return numba's type of a plain array without asking whether it is a masked one, which imports numpy.ma (0.02 s).

    Other arrays, among them those of types that numba does not know, go numba's way.
    """
    if type(array) is not np.ndarray or array.dtype.kind not in "biufc":
        return _typeof_as_numba_does(array, _)
    layout, read_only = numpy_support.map_layout(array), not array.flags.writeable
    return types.Array(numpy_support.from_dtype(array.dtype), array.ndim, layout, readonly=read_only)


_typeof_as_numba_does = typeof_impl.dispatch(np.ndarray)
typeof_impl.register(np.ndarray)(_typeof_array)
environment._rebuild_env = _rebuild_env
Cache.load_overload = _load_overload
