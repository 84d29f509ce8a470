import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.training import OptimizerConfig, make_optimizer
from isvs_jax.training.optimizer import make_schedule


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_weight_decay_spares_norms_and_biases(name: str) -> None:
    params = {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}
    optimizer = make_optimizer(OptimizerConfig(name, weight_decay=0.1), 10)
    state = optimizer.init(params)
    grads = {"kernel": jnp.zeros((2, 2)), "bias": jnp.zeros(2)}
    for _ in range(3):
        updates, state = optimizer.update(grads, state, params)
    assert bool((updates["kernel"] < 0).all())
    np.testing.assert_array_equal(updates["bias"], 0)


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
def test_the_rate_rises_to_its_peak_and_falls_to_nothing(schedule: str) -> None:
    rate = make_schedule(OptimizerConfig(learning_rate=0.5, schedule=schedule), 100)
    rates = np.array([rate(step) for step in range(101)])
    peak = int(rates.argmax())
    assert rates[peak] == pytest.approx(0.5)
    assert peak == {"one_cycle": 30, "cosine": 5}[schedule]
    assert (np.diff(rates[:peak]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()
    assert rates[-1] < 1e-3


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("schedule", ["one_cycle", "cosine"])
def test_the_shortest_runs(schedule: str, steps: int) -> None:
    rate = make_schedule(OptimizerConfig(schedule=schedule), steps)
    assert all(np.isfinite(float(rate(step))) for step in range(steps))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "lion"),
        ("schedule", "flat"),
        ("learning_rate", 0.0),
        ("learning_rate", float("inf")),
        ("weight_decay", -1.0),
        ("label_smoothing", 1.0),
    ],
)
def test_bad_values_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{field} is {value!r}"):
        OptimizerConfig(**{field: value})  # type: ignore[arg-type]
