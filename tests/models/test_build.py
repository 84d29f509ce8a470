"""Networks by name, against the sizes that are published."""

import jax
import jax.numpy as jnp
import pytest

from isvs_jax.models import CNN, MODELS, VisionTransformer, build, count_parameters
from tests.models.drawing import shapes

# He et al. 2016, table 6 (in millions: 0.27, 0.46, 0.66, 0.85); the networks of AugMix, PRIME and RobustBench;
# torchvision for ResNet-50. Of the vision transformers with a class token, as in the paper: timm's
# vit_tiny_patch16_224 and its sisters.
PUBLISHED = {
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet44": 658_586,
    "resnet56": 853_018,
    "resnet18": 11_173_962,
    "wrn40_2": 2_243_546,
    "wrn28_10": 36_479_194,
    "wrn34_10": 46_160_474,
    "resnet50": 25_557_032,
    "vit_tiny_224": 5_717_416,
    "vit_small_224": 22_050_664,
    "vit_base_224": 86_567_656,
}


@pytest.mark.parametrize("name", MODELS)
def test_every_network_in_bfloat16_and_the_sizes_that_are_published(name: str) -> None:
    large = name.endswith("224") or name == "resnet50"
    num_classes, side = (1000, 224) if large else (10, 128 if name == "vit_slim" else 32)
    model = build(name, num_classes, dtype="bfloat16", axis_name="devices")
    images = jax.ShapeDtypeStruct((2, side, side, 3), jnp.float32)
    logits, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
    assert logits == jax.ShapeDtypeStruct((2, num_classes), jnp.float32)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    if name in PUBLISHED:
        # Mean pooling needs neither the class token nor its position.
        token = 2 * model.width if isinstance(model, VisionTransformer) else 0
        assert count_parameters(variables) == PUBLISHED[name] - token


def test_a_class_token_and_its_position_are_parameters() -> None:
    model = build("vit_tiny_224", 1000)
    assert isinstance(model, VisionTransformer)
    assert count_parameters(shapes(model.clone(pooling="token"), (224, 224, 3))) == PUBLISHED["vit_tiny_224"]


@pytest.mark.parametrize("name", ["cnn", "resnet20", "resnet18", "wrn16_4", "resnet50", "vit_tiny"])
def test_every_kind_of_network_takes_grey_images(name: str) -> None:
    model = build(name, 7, 1)
    images = jax.ShapeDtypeStruct((2, 32, 32, 1), jnp.float32)
    logits, _ = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
    assert logits == jax.ShapeDtypeStruct((2, 7), jnp.float32)


def test_the_digits_for_a_vision_transformer() -> None:
    model = build("vit_tiny", 10, 1, image_size=(8, 8))
    assert shapes(model, (8, 8, 1))["params"]["position_embedding"].shape == (1, 4, 192)
    assert build("resnet18", 10, image_size=(8, 8)) == build("resnet18", 10)


def test_equal_arguments_give_equal_modules() -> None:
    first, second = (build("wrn40_2", 10, dtype=dtype) for dtype in ("bfloat16", jnp.bfloat16))
    assert first == second
    assert hash(first) == hash(second)
    assert first != build("wrn40_2", 10)
    assert build("cnn", 4, dtype=jnp.float32) == CNN(4, dtype=jnp.dtype("float32"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "resnet19"}, r"name must be one of 'cnn', 'resnet20', .*'vit_base_224'; got 'resnet19'"),
        ({"num_classes": 0}, "num_classes must be an integer of at least 1; got 0"),
        ({"channels": 0}, "channels must be an integer of at least 1; got 0"),
        ({"dtype": "int8"}, "dtype must be one of bfloat16, float16, float32, float64; got 'int8'"),
        ({"dtype": "half-ish"}, "dtype must be one of bfloat16, float16, float32, float64; got 'half-ish'"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        build(**({"name": "cnn", "num_classes": 10} | arguments))
