import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.models import CNN, count_parameters, init, logits_fn
from tests.models.drawing import drawn, shapes


@pytest.mark.parametrize("shape", [(32, 32, 3), (9, 13, 1), (1, 1, 3)])
def test_any_size_grey_or_colour(shape: tuple[int, int, int]) -> None:
    model = CNN(num_classes=7, width=4)
    logits = logits_fn(model, drawn(model, shape))
    assert logits(jnp.zeros((2, *shape))).shape == (2, 7)


def test_images_of_a_batch_do_not_see_each_other() -> None:
    model = CNN(num_classes=3, width=4)
    logits = logits_fn(model, drawn(model, (8, 8, 1)))
    images, others = np.random.default_rng(1).random((2, 5, 8, 8, 1), np.float32)
    others[2] = images[2]
    first, second = np.asarray(logits(images)), np.asarray(logits(others))
    np.testing.assert_array_equal(first[2], second[2])
    assert (first[[0, 1, 3, 4]] != second[[0, 1, 3, 4]]).any(-1).all()


def test_the_size_is_as_stated() -> None:
    variables = shapes(CNN(num_classes=10, width=16), (32, 32, 3))
    kernels = [3 * 16, 16 * 32, 32 * 32, 32 * 64, 64 * 64]
    norms = 2 * (16 + 32 + 32 + 64 + 64)
    assert count_parameters(variables) == 9 * sum(kernels) + norms + 64 * 10 + 10
    pixels = [32 * 32, 16 * 16, 16 * 16, 8 * 8, 8 * 8]
    assert round(9 * sum(k * p for k, p in zip(kernels, pixels, strict=True)) / 1e5) == 75


def test_models_of_one_architecture_share_a_compilation() -> None:
    model = CNN(num_classes=3, width=4)
    traces = []

    @jax.jit
    def apply(function: jax.tree_util.Partial, images: jax.Array) -> jax.Array:
        traces.append(1)
        return function(images)

    for seed in range(2):
        variables = init(CNN(num_classes=3, width=4), jax.random.key(seed), (8, 8, 1))
        apply(logits_fn(model, variables), jnp.zeros((2, 8, 8, 1)))
    assert len(traces) == 1


def test_a_width_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="width must be 1 or more; got 0"):
        shapes(CNN(num_classes=3, width=0), (8, 8, 1))
