import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax import models
from isvs_jax.training import OptimizerConfig, make_optimizer
from isvs_jax.training.optimizer import decayed, make_schedule


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
def test_the_shortest_runs_move_the_parameters(schedule: str, steps: int) -> None:
    rate = make_schedule(OptimizerConfig(learning_rate=0.5, schedule=schedule), steps)
    rates = [float(rate(step)) for step in range(steps)]
    assert np.isfinite(rates).all()
    assert max(rates) == pytest.approx(0.5)


@pytest.mark.parametrize("name", ["vit_tiny", "resnet20", "cnn"])
def test_kernels_alone_decay_in_every_kind_of_network(name: str) -> None:
    model = models.build(name, 10)
    params = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))["params"]
    for path, is_decayed in jax.tree_util.tree_leaves_with_path(decayed(params)):
        assert is_decayed == (path[-1].key == "kernel"), path
    # What other modules call their weights decays too.
    assert decayed({"embedding": jnp.ones((3, 2)), "scale": jnp.ones((1, 3))}) == {"embedding": True, "scale": False}


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("name", "lion", "one of 'adamw', 'sgd'"),
        ("schedule", "flat", "one of 'one_cycle', 'cosine'"),
        ("learning_rate", 0.0, "a finite number > 0"),
        ("learning_rate", float("inf"), "a finite number > 0"),
        ("weight_decay", -1.0, "a finite number ≥ 0"),
        ("label_smoothing", 1.0, r"a number in \[0, 1\)"),
        ("clip_norm", 0.0, "a finite number > 0"),
    ],
)
def test_bad_values_are_refused(field: str, value: object, wanted: str) -> None:
    with pytest.raises(ValueError, match=f"{field} must be {wanted}; got {value!r}"):
        OptimizerConfig(**{field: value})  # type: ignore[arg-type]
