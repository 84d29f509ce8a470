# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # In your own loop
#
# Half of a batch as it is, half at a random time of its path, inside a jitted step: one line in plain Optax, Flax
# Linen, Flax NNX and Equinox. At the end the time of the path is learned with the weights.
#
# From a clone of the repository: `pip install ".[notebooks]"`; half a minute on two cores.
# `ISVS_JAX_NOTEBOOK_SIZE=smoke` makes everything small.

# %%
import os
from functools import partial

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from matplotlib.figure import Figure

from isvs_jax import SplitLBI, augment, data, plotting, smooth

# %matplotlib inline

SMOKE = os.environ.get("ISVS_JAX_NOTEBOOK_SIZE") == "smoke"
SIZE, WIDTH, BATCH, STEPS = (8, 16, 16, 4) if SMOKE else (16, 64, 64, 30)

digits = data.load("digits", image_size=SIZE)
train_images, test_images = (jnp.asarray(data.as_float(part.images)) for part in (digits.train, digits.test))
train_labels, test_labels = jnp.asarray(digits.train.labels), jnp.asarray(digits.test.labels)


def batches(count):
    """A key, images [B, H, W, 1] and labels [B] for each step; the same ones every time."""
    for key in jax.random.split(jax.random.key(0), count):
        order_key, key = jax.random.split(key)
        chosen = jax.random.randint(order_key, (BATCH,), 0, len(train_images))
        yield key, train_images[chosen], train_labels[chosen]


# %% [markdown]
# ## What the network sees
#
# `along_path` is a pure function of a key and a batch. Half of the examples stay as they are, and the others are shown
# at t = 2, 4 or 8, each time for as many. Above the examples as they are, below as they are shown.


# %%
def pairs(images, shown):
    """The first examples of a batch, as they are above and as they are shown below."""
    figure = Figure(figsize=(9, 1.7), layout="constrained")
    for column, pair in zip(figure.subplots(2, 12).T, zip(images, shown, strict=True), strict=False):
        for ax, image in zip(column, pair, strict=True):
            ax.imshow(image[..., 0], cmap="gray", vmin=0, vmax=1)
            ax.set_axis_off()
    return figure


key, images, _ = next(batches(1))
shown = jax.jit(augment.along_path)(key, images)
print(f"{int((shown == images).all((1, 2, 3)).sum())} of {BATCH} examples are shown as they are")
pairs(images, shown)

# %% [markdown]
# ## One network, four libraries
#
# Two layers, with the same numbers in all four, so that the losses can be compared. What matters is the first line of
# each step. It is traced with the rest: the step is compiled once, and a new key compiles nothing. κ = 1 takes fewer
# steps than κ = 5.

# %%
first_key, second_key = jax.random.split(jax.random.key(1))
FIRST = jax.nn.initializers.glorot_uniform()(first_key, (SIZE * SIZE, WIDTH))
SECOND = jax.nn.initializers.glorot_uniform()(second_key, (WIDTH, 10))
SOLVER = SplitLBI(kappa=1.0)
optimizer = optax.adam(1e-2)
losses, networks = {}, {}


def flat(images):
    """Images as vectors."""
    return images.reshape(len(images), -1)


def cross_entropy(logits, labels):
    """The loss of a batch."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


# %% [markdown]
# ### Plain Optax


# %%
def network(parameters, images):
    """Logits of images."""
    return jax.nn.relu(flat(images) @ parameters["first"] + parameters["bias"]) @ parameters["second"]


@jax.jit
def optax_step(parameters, state, key, images, labels):
    """One step."""
    images = augment.along_path(key, images, solver=SOLVER)
    loss, gradient = jax.value_and_grad(lambda p: cross_entropy(network(p, images), labels))(parameters)
    updates, state = optimizer.update(gradient, state)
    return optax.apply_updates(parameters, updates), state, loss


weights = {"first": FIRST, "bias": jnp.zeros(WIDTH), "second": SECOND}
parameters, losses["Optax"] = weights, []
state = optimizer.init(parameters)
for batch in batches(STEPS):
    parameters, state, loss = optax_step(parameters, state, *batch)
    losses["Optax"].append(float(loss))
networks["Optax"] = lambda images: network(parameters, images)

# %% [markdown]
# ### Flax Linen


# %%
model = nn.Sequential([flat, nn.Dense(WIDTH), nn.relu, nn.Dense(10, use_bias=False)])


@jax.jit
def linen_step(variables, state, key, images, labels):
    """One step."""
    images = augment.along_path(key, images, solver=SOLVER)
    loss, gradient = jax.value_and_grad(lambda v: cross_entropy(model.apply(v, images), labels))(variables)
    updates, state = optimizer.update(gradient, state)
    return optax.apply_updates(variables, updates), state, loss


variables = {"params": {"layers_1": {"kernel": FIRST, "bias": jnp.zeros(WIDTH)}, "layers_3": {"kernel": SECOND}}}
state, losses["Linen"] = optimizer.init(variables), []
for batch in batches(STEPS):
    variables, state, loss = linen_step(variables, state, *batch)
    losses["Linen"].append(float(loss))
networks["Linen"] = lambda images: model.apply(variables, images)

# %% [markdown]
# ### Flax NNX

# %%
rngs = nnx.Rngs(0)
nnx_model = nnx.Sequential(
    flat, nnx.Linear(SIZE * SIZE, WIDTH, rngs=rngs), nnx.relu, nnx.Linear(WIDTH, 10, use_bias=False, rngs=rngs)
)
nnx_model.layers[1].kernel[...], nnx_model.layers[3].kernel[...] = FIRST, SECOND
nnx_optimizer = nnx.Optimizer(nnx_model, optimizer, wrt=nnx.Param)


@nnx.jit
def nnx_step(model, optimizer, key, images, labels):
    """One step; model and optimizer are changed in place."""
    images = augment.along_path(key, images, solver=SOLVER)
    loss, gradient = nnx.value_and_grad(lambda m: cross_entropy(m(images), labels))(model)
    optimizer.update(model, gradient)
    return loss


losses["NNX"] = []
for batch in batches(STEPS):
    losses["NNX"].append(float(nnx_step(nnx_model, nnx_optimizer, *batch)))
networks["NNX"] = nnx_model

# %% [markdown]
# ### Equinox

# %%
equinox_model = eqx.nn.MLP(SIZE * SIZE, 10, WIDTH, 1, use_final_bias=False, key=jax.random.key(0))
equinox_model = eqx.tree_at(
    lambda m: (m.layers[0].weight, m.layers[0].bias, m.layers[1].weight),
    equinox_model,
    (FIRST.T, jnp.zeros(WIDTH), SECOND.T),
)


@eqx.filter_jit
def equinox_step(model, state, key, images, labels):
    """One step."""
    images = augment.along_path(key, images, solver=SOLVER)
    loss, gradient = eqx.filter_value_and_grad(lambda m: cross_entropy(jax.vmap(m)(flat(images)), labels))(model)
    updates, state = optimizer.update(gradient, state)
    return eqx.apply_updates(model, updates), state, loss


state, losses["Equinox"] = optimizer.init(eqx.filter(equinox_model, eqx.is_array)), []
for batch in batches(STEPS):
    equinox_model, state, loss = equinox_step(equinox_model, state, *batch)
    losses["Equinox"].append(float(loss))
networks["Equinox"] = lambda images: jax.vmap(equinox_model)(flat(images))

# %% [markdown]
# ### The four beside each other
#
# The same numbers and the same batches: the losses agree to rounding.

# %%
for library, found in losses.items():
    correct = float(jnp.mean(networks[library](test_images).argmax(1) == test_labels))
    print(f"{library:8} first loss {found[0]:.5f}, last loss {found[-1]:.5f}, test accuracy {correct:.1%}")
    np.testing.assert_allclose(found, losses["Optax"], rtol=1e-2)

# %% [markdown]
# ## More than the path
#
# Augmentations are functions (key, images) → images, so that they can be chained, and mixed with shares. Here a half of
# the batch goes along the path, and then all of it is shifted and gets noise. Above the examples as they are.

# %%
shift_and_noise = partial(augment.augment, augmentation=augment.Augmentation(crop=1, noise=0.2))
augmentation = augment.chain(partial(augment.along_path, solver=SOLVER), shift_and_noise)
pairs(images, jax.jit(augmentation)(key, images))

# %% [markdown]
# ## A learned time
#
# The path may stand inside of the network, too: every image is smoothed before the first layer, and how far is a
# parameter beside the weights. `max_time` bounds it, so that the number of steps is known while the time is traced; the
# sigmoid keeps it below. The images come with noise of σ = 0.3, drawn anew in every step. Start where something has
# entered: before that, u(t) does not move, and its derivative by t is 0.

# %%
START, MAX_TIME, NOISE = 2.0, 4.0, 0.3


def smoothing_network(parameters, images):
    """Logits of images smoothed to the learned time."""
    time = MAX_TIME * jax.nn.sigmoid(parameters["time"])
    return network(parameters["network"], smooth(images, time, SOLVER, max_time=MAX_TIME))


time_optimizer = optax.adam(3e-2)


@jax.jit
def learned_step(parameters, state, key, images, labels):
    """One step; the gradient by the time goes through the path."""
    images = images + NOISE * jax.random.normal(key, images.shape)
    loss, gradient = jax.value_and_grad(lambda p: cross_entropy(smoothing_network(p, images), labels))(parameters)
    updates, state = time_optimizer.update(gradient, state)
    return optax.apply_updates(parameters, updates), state, loss


parameters = {"time": jax.scipy.special.logit(START / MAX_TIME), "network": weights}
state, walk = time_optimizer.init(parameters), []
for batch in batches(STEPS):
    time = float(MAX_TIME * jax.nn.sigmoid(parameters["time"]))
    parameters, state, loss = learned_step(parameters, state, *batch)
    walk.append((time, float(loss)))
print("first step: t = {:.2f}, loss {:.3f}; last step: t = {:.2f}, loss {:.3f}".format(*walk[0], *walk[-1]))

figure = Figure(figsize=(7, 2.4), layout="constrained")
for ax, values, name in zip(figure.subplots(1, 2), zip(*walk, strict=True), ("time t", "loss"), strict=True):
    ax.plot(values, color=plotting.COLOURS[0])
    ax.set(xlabel="step", ylabel=name)
figure
