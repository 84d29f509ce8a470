"""Peak memory of smoothing a large batch, as the compiler counts it; timed is the compilation, nothing is run."""

from typing import Any

import jax
import jax.numpy as jnp
import pytest

import isvs_jax

SHAPE, TIME = (256, 224, 224, 3), 8.0


@pytest.mark.parametrize("output", ["dense", "sparse"])
@pytest.mark.parametrize("tolerance", [None, 0.006])
def test_memory(output: str, tolerance: float | None, benchmark: Any) -> None:
    benchmark.group = "memory"
    solver = isvs_jax.SplitLBI(tolerance=tolerance)
    image = jax.ShapeDtypeStruct(SHAPE, jnp.float32)

    def compiled() -> Any:
        return jax.jit(lambda image: isvs_jax.smooth(image, TIME, solver, output)).lower(image).compile()

    memory = benchmark.pedantic(compiled, rounds=1, iterations=1).memory_analysis()
    sizes = {name: getattr(memory, f"{name}_size_in_bytes") for name in ("argument", "output", "temp")}
    batch = sizes["argument"]
    assert batch >= 4 * SHAPE[0] * SHAPE[1] * SHAPE[2] * SHAPE[3]
    name = f"{output}{'' if tolerance is None else f', tolerance {tolerance}'}"
    benchmark.extra_info.update(memory=name, shape=SHAPE, t=TIME, batch_bytes=batch)
    benchmark.extra_info.update({key: value / batch for key, value in sizes.items()})
