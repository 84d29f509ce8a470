"""The vision transformer against its description in NumPy, in float64."""

from typing import Any

import jax
import numpy as np
import pytest
from scipy.special import erf, softmax

from isvs_jax.models import VisionTransformer
from tests.models.drawing import drawn, shapes

MODEL = VisionTransformer(3, (8, 12), patch=4, width=6, depth=2, heads=2)


def layer_norm(tokens: np.ndarray, params: dict[str, np.ndarray]) -> np.ndarray:
    deviation = tokens - tokens.mean(-1, keepdims=True)
    normalised = deviation / np.sqrt((deviation**2).mean(-1, keepdims=True) + 1e-6)
    return normalised * params["scale"] + params["bias"]


def dense(tokens: np.ndarray, params: dict[str, np.ndarray]) -> np.ndarray:
    return tokens @ params["kernel"] + params["bias"]


def attention(tokens: np.ndarray, params: dict[str, Any]) -> np.ndarray:
    out = np.zeros_like(tokens)
    for head in range(params["query"]["kernel"].shape[1]):
        q, k, v = (tokens @ params[n]["kernel"][:, head] + params[n]["bias"][head] for n in ("query", "key", "value"))
        mixed = softmax(q @ k.T / np.sqrt(q.shape[-1]), axis=-1) @ v
        out += mixed @ params["out"]["kernel"][head]
    return out + params["out"]["bias"]


def reference(params: dict[str, Any], image: np.ndarray, model: VisionTransformer) -> np.ndarray:
    image = (image - np.array(model.mean)) / np.array(model.std)
    side = model.patch
    tokens = np.array(
        [
            np.einsum("hwc,hwcd->d", image[y : y + side, x : x + side], params["embedding"]["kernel"])
            for y in range(0, image.shape[0], side)
            for x in range(0, image.shape[1], side)
        ]
    )
    tokens = tokens + params["embedding"]["bias"]
    if model.pooling == "token":
        tokens = np.concatenate((params["class_token"][0], tokens))
    tokens = tokens + params["position_embedding"][0]
    for number in range(model.depth):
        block = params[f"block_{number}"]
        tokens = tokens + attention(layer_norm(tokens, block["norm1"]), block["attention"])
        hidden = dense(layer_norm(tokens, block["norm2"]), block["dense1"])
        tokens = tokens + dense(hidden * (1 + erf(hidden / np.sqrt(2))) / 2, block["dense2"])
    tokens = layer_norm(tokens, params["norm"])
    return dense(tokens[0] if model.pooling == "token" else tokens.mean(0), params["head"])


@pytest.mark.parametrize("pooling", ["mean", "token"])
def test_logits_are_those_of_the_description(pooling: str) -> None:
    model = MODEL.clone(pooling=pooling)
    variables = drawn(model, (8, 12, 3))
    images = np.random.default_rng(1).random((2, 8, 12, 3), np.float32)
    params = jax.tree.map(np.float64, variables["params"])
    expected = np.array([reference(params, image, model) for image in images.astype(np.float64)])
    assert np.abs(expected[0] - expected[1]).max() > 0.05  # the images are told apart
    np.testing.assert_allclose(jax.jit(model.apply)(variables, images), expected, rtol=1e-5, atol=1e-5)


def test_dropout_is_off_unless_asked_for() -> None:
    model = MODEL.clone(depth=1)
    variables = drawn(model, (8, 12, 3))
    images = np.random.default_rng(1).random((2, 8, 12, 3), np.float32)
    # No random stream is needed, and training changes nothing.
    evaluated, trained = (
        str(jax.make_jaxpr(lambda v, train=train: model.apply(v, images, train=train))(variables))
        for train in (False, True)
    )
    assert evaluated == trained
    dropping = model.clone(dropout=0.5)
    dropped = jax.jit(lambda key: dropping.apply(variables, images, train=True, rngs={"dropout": key}))
    assert np.abs(dropped(jax.random.key(0)) - dropped(jax.random.key(1))).max() > 0.01


@pytest.mark.parametrize("size", [(12, 8), (16, 24), (8, 11)])
def test_images_of_another_size_are_refused(size: tuple[int, int]) -> None:
    said = rf"images must be 8×12 \(image_size\), for which .* has positions; got {size[0]}×{size[1]}"
    with pytest.raises(ValueError, match=said):
        shapes(MODEL, (*size, 3))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"pooling": "max"}, "pooling must be one of 'mean', 'token'; got 'max'"),
        ({"patch": 5}, r"image_size must hold multiples of the patch, 5; got \(8, 12\)"),
        ({"heads": 4}, "width must be a multiple of the heads, 4; got 6"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\); got 1\.0"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        shapes(MODEL.clone(**arguments), (8, 12, 3))
