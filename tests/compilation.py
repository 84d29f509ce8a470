"""Programs are compiled fast rather than well: the tests are thousands of them, on a handful of tiny images each.

XLA reads its flags once in a process, when the first device starts, and ends the process where it does not know one.
They are therefore set before any test, and only those that this version knows; processes that tests start inherit them.
"""

import os
import subprocess
import sys

import jax

# The kernels of before the fusion emitters compile in half the time, and a program in one piece sooner than in many.
OPTIONS: dict[str, bool | int] = {"xla_cpu_use_fusion_emitters": False, "xla_cpu_parallel_codegen_split_count": 1}

_PROBE = """
import jax
for name, value in {options}.items():
    try:
        jax.jit(lambda x: x, compiler_options={{name: value}}).lower(0).compile()
        print("--" + name + "=" + str(value).lower())
    except jax.errors.JaxRuntimeError:
        pass
"""


def compile_fast() -> None:
    """Let this process, and those that it starts, put little effort into compiling."""
    jax.config.update("jax_disable_most_optimizations", True)
    # Traces of the calls that made an operation, which a tenth of the time of lowering goes into.
    jax.config.update("jax_traceback_in_locations_limit", 0)
    if "JAX_DISABLE_MOST_OPTIMIZATIONS" in os.environ:
        return
    command = [sys.executable, "-c", _PROBE.format(options=OPTIONS)]
    known = subprocess.run(
        command, capture_output=True, text=True, check=True, env=os.environ | {"JAX_PLATFORMS": "cpu"}
    )
    os.environ["XLA_FLAGS"] = " ".join([os.environ.get("XLA_FLAGS", ""), *known.stdout.split()]).strip()
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
    os.environ["JAX_TRACEBACK_IN_LOCATIONS_LIMIT"] = "0"


def as_usual() -> dict[str, bool | int | str]:
    """Options of `jax.jit` for what is compared to the bit: other kernels round a product and a sum otherwise."""
    name = "xla_cpu_use_fusion_emitters"
    return {name: True} if name in os.environ.get("XLA_FLAGS", "") else {}
