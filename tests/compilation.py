"""Programs are compiled fast rather than well: the tests are thousands of them, on a handful of tiny images each.

XLA reads its flags once in a process, when the first device starts, and ends the process where it does not know one.
They are therefore set before any test, and only those that the version at hand knows; processes that tests start
inherit them.
"""

import os
import subprocess
import sys
from collections.abc import Mapping

import jax

# The kernels of before the fusion emitters compile in half the time, and a program in one piece sooner than in many.
EMITTERS = "xla_cpu_use_fusion_emitters"
OPTIONS: Mapping[str, bool | int] = {EMITTERS: False, "xla_cpu_parallel_codegen_split_count": 1}
VARIABLES = ("JAX_DISABLE_MOST_OPTIMIZATIONS", "XLA_FLAGS")

_PROBE = """
import jax
for name, value in {options}.items():
    try:
        jax.jit(lambda x: x, compiler_options={{name: value}}).lower(0).compile()
    except jax.errors.JaxRuntimeError:
        continue
    print(f"--{{name}}={{value}}".lower())
"""


def known_flags(options: Mapping[str, bool | int]) -> list[str]:
    """The flags of the options that this version of XLA knows, asked for in a process of its own."""
    command = [sys.executable, "-c", _PROBE.format(options=dict(options))]
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout.split()


def compile_fast() -> None:
    """Let this process, and those that it starts, put little effort into compiling."""
    jax.config.update("jax_disable_most_optimizations", True)
    if "JAX_DISABLE_MOST_OPTIMIZATIONS" in os.environ:
        return  # The process that started this one has set the rest.
    os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *known_flags(OPTIONS)]).strip()
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"


def as_usual() -> dict[str, bool | int | str]:
    """Options of `jax.jit` for what is compared to the bit: other kernels round a product and a sum otherwise."""
    return {EMITTERS: True} if EMITTERS in os.environ.get("XLA_FLAGS", "") else {}
