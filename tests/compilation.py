"""Compile fast rather than well: for tests with many programs on a handful of tiny images."""

import contextlib
import importlib
import os
from collections.abc import Iterator
from typing import Any

import jax
import pytest

# The kernels of before the fusion emitters compute the same and take half the time to compile. XLA's options are no
# part of JAX's public interface: these are of the versions known here, and with others, programs compile as usual.
_OPTIONS = {"xla_cpu_use_fusion_emitters": False} if jax.__version_info__[:2] == (0, 10) else {}

# Holds something while programs that were compiled cheaply may be in JAX's caches.
_CHEAP: list[bool] = []


def used_cheaply() -> bool:
    """Whether programs were compiled cheaply since the last time of asking."""
    found = bool(_CHEAP)
    _CHEAP.clear()
    return found


@contextlib.contextmanager
def cheap_compilation() -> Iterator[None]:
    """The same programs, into which XLA and LLVM put less effort."""
    before = jax.config.read("jax_disable_most_optimizations")
    with pytest.MonkeyPatch.context() as patch:
        if _OPTIONS:
            compiler = importlib.import_module("jax._src.compiler")
            usual = compiler.get_compile_options

            def cheap(*arguments: Any, env_options_overrides: dict[str, Any] | None = None, **options: Any) -> Any:
                return usual(*arguments, env_options_overrides=_OPTIONS | (env_options_overrides or {}), **options)

            patch.setattr(compiler, "get_compile_options", cheap)
        _CHEAP.append(True)
        jax.config.update("jax_disable_most_optimizations", True)
        try:
            yield
        finally:
            jax.config.update("jax_disable_most_optimizations", before)


def cheap_environment() -> dict[str, str]:
    """The same for a process that is started with these variables."""
    flags = " ".join(
        [os.environ.get("XLA_FLAGS", ""), *(f"--{name}={value}".lower() for name, value in _OPTIONS.items())]
    )
    return {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "XLA_FLAGS": flags.strip()}
