"""Functions that Numba compiles, whose machine code is cached where a folder can be written."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core.caching import CompileResultCacheImpl, FunctionCache, InTreeCacheLocator
from numba.core.dispatcher import Dispatcher

from vise_core.files.cache_folder import cache_subfolder

log = logging.getLogger("vise.cache")


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return ``numba.njit`` with these options and a cache if there is one: ``njit(cache=True)`` would raise without.

    Machine code lies where Numba puts it: ``$NUMBA_CACHE_DIR``, ``__pycache__`` beside the module or ``~/.cache/numba``.
    Where none of these can be written, it lies in ``kernels`` of our cache folder, and without that it is compiled by
    each process.
    """

    def compile_lazily(function: Callable[..., Any]) -> Any:
        compiled = njit(**options)(function)
        # With NUMBA_DISABLE_JIT it is the function itself.
        if isinstance(compiled, Dispatcher):
            try:
                compiled._cache = _KernelCache(function)  # type: ignore[attr-defined]
            except RuntimeError as error:
                # No place can be written; ``cache_subfolder`` has warned.
                log.debug("%s", error)
        return compiled

    return compile_lazily


class _CacheFolderLocator(InTreeCacheLocator):  # type: ignore[misc]
    """Numba's place for the machine code of a function: below our cache folder."""

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        super().__init__(function, file)
        folder = cache_subfolder("kernels")
        if folder is None:
            raise OSError("there is no cache folder")
        self._cache_path = str(folder / self.get_suitable_cache_subpath(file))

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> Any:
        try:
            return super().from_function(function, file)
        except OSError:
            return None


class _Implementation(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = [*CompileResultCacheImpl._locator_classes, _CacheFolderLocator]


class _KernelCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache, but a damaged file or a full disk costs a compilation instead of the run."""

    _impl_class = _Implementation

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # A damaged pickle may raise anything.
            log.warning("compiled code in %s cannot be read: %s", self.cache_path, error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError as error:
            log.warning("compiled code cannot be written to %s: %s", self.cache_path, error)
