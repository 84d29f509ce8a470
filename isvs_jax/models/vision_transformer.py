"""The vision transformer, with a patch size for small images and for photographs."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from isvs_jax._checks import check_choice, check_number
from isvs_jax.models.initialisers import lecun_normal, normal, xavier_uniform
from isvs_jax.models.layers import IMAGENET_MEAN, IMAGENET_STD, Layers


class VisionTransformer(nn.Module):
    """A transformer encoder over the patches of an image, normalised before each branch.

    (x − mean)/std → patches p×p, embedded in w dimensions → + position → depth blocks → layer norm → pooling → dense K,

    with the block x + attention(norm(x)), then x + dense(gelu(dense 4w(norm(x)))). The positions are learned, one for
    each patch, so that a network belongs to one image size.

    Attributes:
        num_classes: The number K of logits.
        image_size: The (H, W) of the images, multiples of the patch.
        patch: The side p of a patch in pixels: 4 is usual for 32×32 images and 16 for 224×224.
        width: The number w of dimensions, a multiple of the heads.
        depth: The number of blocks.
        heads: The number of heads of each attention.
        expansion: How many times as wide the hidden layer of a block is.
        pooling: "mean" for the mean over the patches, or "token" for what became of one more, learned token.
        dropout: The share of embedded positions and of each branch's outputs set to 0 in training; then training needs
            the random stream "dropout".
        mean: The mean of each channel of the input in [0, 1], or one for all.
        std: The standard deviation of each channel, or one for all.
        dtype: The dtype of the computation (bfloat16 on accelerators); parameters and logits are float32.
        axis_name: A name without effect, as there are no batch statistics. It is here for all networks to be made
            alike.
        precision: The precision of products, as in `jax.lax.Precision`; None takes what is fastest on the accelerator.

    Example:
        >>> model = VisionTransformer(image_size=(32, 32), patch=4, width=192, depth=12, heads=3)
        >>> images = jax.ShapeDtypeStruct((4, 32, 32, 3), jnp.float32)
        >>> logits, variables = jax.eval_shape(model.init_with_output, jax.random.key(0), images)
        >>> logits.shape, variables["params"]["position_embedding"].shape
        ((4, 10), (1, 64, 192))

    References:
        Dosovitskiy et al., "An image is worth 16×16 words: transformers for image recognition at scale", ICLR 2021.
        Beyer, Zhai, Kolesnikov, "Better plain ViT baselines for ImageNet-1k", arXiv:2205.01580 (mean pooling).
    """

    num_classes: int = 10
    image_size: tuple[int, int] = (32, 32)
    patch: int = 4
    width: int = 192
    depth: int = 12
    heads: int = 3
    expansion: int = 4
    pooling: str = "mean"
    dropout: float = 0.0
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    dtype: DTypeLike = jnp.float32
    axis_name: str | None = None
    precision: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """Logits [B, K] of images [B, H, W, C] in [0, 1]; `train` matters where there is dropout."""
        layers = Layers(train, self.dtype, self.axis_name, self.precision)
        standardised = layers.standardise(images, self.mean, self.std)
        self._check(images.shape[1:3])
        tokens = nn.Conv(
            self.width,
            (self.patch, self.patch),
            (self.patch, self.patch),
            padding="VALID",
            dtype=self.dtype,
            precision=self.precision,
            kernel_init=lecun_normal(),
            name="embedding",
        )(standardised)
        tokens = tokens.reshape(len(tokens), -1, self.width)
        if self.pooling == "token":
            token = self.param("class_token", nn.initializers.zeros, (1, 1, self.width), jnp.float32)
            token = jnp.broadcast_to(token.astype(self.dtype), (len(tokens), 1, self.width))
            tokens = jnp.concatenate((token, tokens), axis=1)
        positions = self.param("position_embedding", normal(0.02), (1, *tokens.shape[1:]), jnp.float32)
        tokens = nn.Dropout(self.dropout, deterministic=not train)(tokens + positions.astype(self.dtype))
        for number in range(self.depth):
            tokens = _Block(self.heads, self.expansion, self.dropout, layers, name=f"block_{number}")(tokens)
        # The features are not rounded: their mean is taken over what the last norm computed.
        tokens = nn.LayerNorm(dtype=layers.exact, name="norm")(tokens)
        features = tokens[:, 0] if self.pooling == "token" else tokens.mean(1)
        return layers.logits(features, self.num_classes, name="head")

    def _check(self, size: tuple[int, ...]) -> None:
        check_choice("pooling", self.pooling, ("mean", "token"))
        if self.patch < 1 or any(side < 1 or side % self.patch for side in self.image_size):
            raise ValueError(f"image_size must hold multiples of the patch, {self.patch}; got {self.image_size}.")
        if self.heads < 1 or self.width < 1 or self.width % self.heads:
            raise ValueError(f"width must be a multiple of the heads, {self.heads}; got {self.width}.")
        check_number("dropout", self.dropout, "[0, 1)")
        if size != tuple(self.image_size):
            raise ValueError(
                f"images must be {self.image_size[0]}×{self.image_size[1]} (image_size), for which this vision "
                f"transformer has positions; got {size[0]}×{size[1]}."
            )


class _Block(nn.Module):
    """Attention between the tokens, and a network of two layers on each."""

    heads: int
    expansion: int
    dropout: float
    layers: Layers

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        dtype, precision = self.layers.dtype, self.layers.precision
        width = tokens.shape[-1]
        dropout = nn.Dropout(self.dropout, deterministic=not self.layers.train)
        hidden = nn.LayerNorm(dtype=dtype, name="norm1")(tokens)
        hidden = nn.MultiHeadDotProductAttention(
            self.heads,
            dtype=dtype,
            precision=precision,
            kernel_init=xavier_uniform(),
            attention_fn=_attention,
            name="attention",
        )(hidden)
        tokens = tokens + dropout(hidden)
        hidden = nn.LayerNorm(dtype=dtype, name="norm2")(tokens)
        for number, size in ((1, self.expansion * width), (2, width)):
            hidden = nn.Dense(
                size, dtype=dtype, precision=precision, kernel_init=xavier_uniform(), name=f"dense{number}"
            )(hidden)
            if number == 1:
                hidden = nn.gelu(hidden, approximate=False)
        return tokens + dropout(hidden)


def _attention(queries: jax.Array, keys: jax.Array, values: jax.Array, *, precision: str | None = None) -> jax.Array:
    """softmax(q kᵀ/√d) v of [B, N, heads, d], scores and softmax in float32 at least."""
    exact = jnp.promote_types(queries.dtype, jnp.float32)
    scores = jnp.einsum("bqhd,bkhd->bhqk", queries, keys, precision=precision, preferred_element_type=exact)
    weights = nn.softmax(scores / queries.shape[-1] ** 0.5).astype(values.dtype)
    return jnp.einsum("bhqk,bkhd->bqhd", weights, values, precision=precision)
