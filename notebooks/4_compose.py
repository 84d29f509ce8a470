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
# # The path inside other people's models
#
# `smooth` and `scale_space` are pure functions of arrays, so they go into any model as they are: no wrapper is needed.
# Times, ν and κ may be traced, mapped and differentiated, so they may be learned.
#
# From a clone of the repository: `pip install ".[notebooks]"`; about a minute on two cores.
# `ISVS_JAX_NOTEBOOK_SIZE=smoke` makes everything small.

# %%
import os

import equinox as eqx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh, PartitionSpec
from matplotlib.figure import Figure

from isvs_jax import SplitLBI, data, plotting, smooth

# %matplotlib inline

SMOKE = os.environ.get("ISVS_JAX_NOTEBOOK_SIZE") == "smoke"
SIZE = 8 if SMOKE else 16

# Digits in black and white, so that there are sharp contours to keep.
digits = data.load("digits", image_size=SIZE).train.images[: 4 if SMOKE else 16]
clean = jnp.asarray(digits > 0.4, jnp.float32)
noisy = clean + 0.2 * jax.random.normal(jax.random.key(0), clean.shape)

# %% [markdown]
# ## How many steps
#
# The number of steps is static. Where the time is a number, it is worked out; where only the time is traced, `max_time`
# bounds it. Here ν will be learned too, so that the number is said: enough for the largest time and the smallest ν that
# may come. A step may be up to `stability_bound` long. κ = 1 denoises as well as κ = 5 in a fifth of the steps.

# %%
SOLVER = SplitLBI(kappa=1.0, nu=0.1)
STEPS = 60
print(f"{STEPS} steps reach t = {STEPS * SOLVER.stability_bound:.0f}")

# %% [markdown]
# ## One model, three libraries
#
# A learned time, then a linear layer. The logarithm of the time is the parameter, so that the time stays positive.


# %%
class InEquinox(eqx.Module):
    """One image [H, W, 1]; a batch is a `jax.vmap`."""

    log_time: jax.Array
    head: eqx.nn.Linear

    def __init__(self, key):
        self.log_time = jnp.log(2.0)
        self.head = eqx.nn.Linear(SIZE * SIZE, 10, key=key)

    def __call__(self, image):
        return self.head(smooth(image, jnp.exp(self.log_time), SOLVER, num_steps=STEPS).ravel())


class InLinen(nn.Module):
    """Images [B, H, W, 1]."""

    @nn.compact
    def __call__(self, images):
        log_time = self.param("log_time", nn.initializers.constant(np.log(2.0)), ())
        smoothed = smooth(images, jnp.exp(log_time), SOLVER, num_steps=STEPS)
        return nn.Dense(10)(smoothed.reshape(len(images), -1))


class InNNX(nnx.Module):
    """Images [B, H, W, 1]."""

    def __init__(self, rngs):
        self.log_time = nnx.Param(jnp.log(2.0))
        self.head = nnx.Linear(SIZE * SIZE, 10, rngs=rngs)

    def __call__(self, images):
        smoothed = smooth(images, jnp.exp(self.log_time[...]), SOLVER, num_steps=STEPS)
        return self.head(smoothed.reshape(len(images), -1))


# %%
def energy(logits):
    """Something to differentiate."""
    return jnp.mean(logits**2)


equinox_model = InEquinox(jax.random.key(1))
linen_model = InLinen()
variables = linen_model.init(jax.random.key(1), noisy)
nnx_model = InNNX(nnx.Rngs(1))

# The three heads take the same numbers, so that the three models are one.
variables["params"]["Dense_0"] = {"kernel": equinox_model.head.weight.T, "bias": equinox_model.head.bias}
nnx_model.head.kernel[...], nnx_model.head.bias[...] = equinox_model.head.weight.T, equinox_model.head.bias

gradients = {
    "Equinox": eqx.filter_jit(eqx.filter_grad(lambda model: energy(jax.vmap(model)(noisy))))(equinox_model).log_time,
    "Linen": jax.jit(jax.grad(lambda v: energy(linen_model.apply(v, noisy))))(variables)["params"]["log_time"],
    "NNX": nnx.jit(nnx.grad(lambda model: energy(model(noisy))))(nnx_model).log_time[...],
}
for library, gradient in gradients.items():
    print(f"{library:8} derivative by log t: {float(gradient):+.6f}")

# %% [markdown]
# ## A gradient through the path
#
# How one pixel of u(t) depends on the image: the derivative of that pixel by every pixel of the image. A low-pass
# filter has the same answer everywhere. Along the path the answer keeps to the regions: contours that have entered
# stop it. The cross is the pixel; red is positive, blue negative, each picture by its own largest value.

# %%
middle = (SIZE // 2, SIZE // 2 - SIZE // 8)
sensitivity = jax.jit(jax.grad(lambda image, time: smooth(image, time, SOLVER, num_steps=STEPS)[*middle, 0]))
times = (0.0, 4.0) if SMOKE else (0.0, 2.0, 4.0, 8.0)
figure = Figure(figsize=(2 * (1 + len(times)), 2.2), layout="constrained")
axes = figure.subplots(1, 1 + len(times))
axes[0].imshow(clean[0, ..., 0], cmap="gray")
axes[0].set_title("image")
for ax, time in zip(axes[1:], times, strict=True):
    shown = sensitivity(clean[0], time)[..., 0]
    ax.imshow(shown, cmap="RdBu_r", vmin=-jnp.abs(shown).max(), vmax=jnp.abs(shown).max())
    ax.set_title(f"t = {time:g}")
for ax in axes:
    ax.plot(middle[1], middle[0], "k+")
    ax.set(xticks=[], yticks=[])
figure

# %% [markdown]
# The mean of an image is that of u(t), so the derivatives add up to 1. Against a finite difference, in float64:

# %%
with jax.enable_x64(True):
    precise = jnp.asarray(clean[0], jnp.float64)
    direction = jax.random.normal(jax.random.key(2), precise.shape, jnp.float64)
    slope = sensitivity(precise, 4.0)
    values = [smooth(precise + h * direction, 4.0, SOLVER, num_steps=STEPS)[*middle, 0] for h in (-1e-6, 1e-6)]
    print(f"sum of the derivatives: {slope.sum():.9f}")
    print(
        f"along a direction: {jnp.vdot(slope, direction):.6f}, finite difference: {(values[1] - values[0]) / 2e-6:.6f}"
    )

# %% [markdown]
# ## A learned time
#
# Time and ν for denoising, by gradient descent on the squared error. Both are parameters of one function, as the
# weights of a network are. Start where something has entered: before that, u(t) does not move, and its derivative by t
# is 0. The rule of thumb for noise of σ = 0.2 is t = 1/σ = 5.


# %%
def error(parameters, noisy, clean):
    """Mean squared error of the images at time t of their paths."""
    solver = SplitLBI(kappa=1.0, nu=jnp.exp(parameters["log_nu"]))
    return jnp.mean((smooth(noisy, jnp.exp(parameters["log_time"]), solver, num_steps=STEPS) - clean) ** 2)


optimizer = optax.adam(0.1)


@jax.jit
def descend(parameters, state):
    """One step; the parameters before it come back with their error."""
    value, gradient = jax.value_and_grad(error)(parameters, noisy, clean)
    updates, state = optimizer.update(gradient, state)
    return optax.apply_updates(parameters, updates), state, value


parameters = {"log_time": jnp.log(1.5), "log_nu": jnp.log(0.3)}
state, walk = optimizer.init(parameters), []
for _ in range(3 if SMOKE else 50):
    before = np.exp([parameters["log_time"], parameters["log_nu"]])
    parameters, state, value = descend(parameters, state)
    walk.append((*before, float(value)))
walk = np.array(walk)
print(f"noisy: {float(jnp.mean((noisy - clean) ** 2)):.5f}")
for number in (0, len(walk) - 1):
    print("t = {:.2f}, ν = {:.3f}: {:.5f}".format(*walk[number]))
low_pass = [smooth(noisy, 0.0, SplitLBI(nu=nu)) for nu in (1.0, 2.0, 4.0, 8.0)]
print(f"best low-pass image u(0): {min(float(jnp.mean((image - clean) ** 2)) for image in low_pass):.5f}")

# %% [markdown]
# The error over a grid of times and values of ν, in one `jax.vmap` each: the solver is a pytree, and its numbers are
# mapped like any others. Adam overshoots in time and comes back; along the valley ν hardly matters.

# %%
log_times, log_nus = np.log(np.geomspace(1, 12, 3 if SMOKE else 10)), np.log(np.geomspace(0.1, 1, 2 if SMOKE else 6))
one = jax.vmap(error, ({"log_time": 0, "log_nu": None}, None, None))
grid = jax.jit(jax.vmap(one, ({"log_time": None, "log_nu": 0}, None, None)))
errors = np.asarray(grid({"log_time": jnp.asarray(log_times), "log_nu": jnp.asarray(log_nus)}, noisy, clean))

figure = Figure(figsize=(5, 3), layout="constrained")
ax = figure.add_subplot()
contours = ax.contourf(np.exp(log_times), np.exp(log_nus), np.log10(errors), 12, cmap="viridis")
figure.colorbar(contours, label="log₁₀ of the squared error", format="%.2f")
ax.plot(walk[:, 0], walk[:, 1], ".-", color=plotting.COLOURS[5], label="descent")
ax.plot(*walk[-1, :2], "wX", markersize=9, markeredgecolor="black", label="its end")
ax.set(xscale="log", yscale="log", xlabel="time t", ylabel="ν")
ax.legend(fontsize=8)
figure

# %%
best = jnp.exp(parameters["log_time"]), SplitLBI(kappa=1.0, nu=jnp.exp(parameters["log_nu"]))
denoised = smooth(noisy, *best, num_steps=STEPS)
figure = Figure(figsize=(5, 3.6), layout="constrained")
rows = {"clean": clean, "noisy": noisy, "denoised": denoised}
for row, (name, images) in zip(figure.subplots(3, 4), rows.items(), strict=True):
    row[0].set_ylabel(name)
    for ax, image in zip(row, images, strict=False):
        ax.imshow(image[..., 0], cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
figure

# %% [markdown]
# ## vmap and shard_map
#
# Each image follows its own path: a batch, a `vmap` and a loop give the same, to rounding. Under `jax.shard_map` each
# device smooths its share, without communication. The notebook on devices goes on with eight of them.

# %%
batch = smooth(noisy, 4.0)
mapped = jax.vmap(lambda image: smooth(image, 4.0))(noisy)
mesh = Mesh(jax.devices()[:1], ("data",))
share = PartitionSpec("data")
sharded = jax.jit(jax.shard_map(lambda x: smooth(x, 4.0), mesh=mesh, in_specs=share, out_specs=share))(noisy)
print(
    "largest difference, vmap", float(jnp.abs(batch - mapped).max()), "shard_map", float(jnp.abs(batch - sharded).max())
)
