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
# # The scale space in pictures
#
# An image is rebuilt from nothing along a time axis. Differences between neighbouring pixels enter one after another:
# large, high-contrast structures first, texture next, noise last.
#
# From a clone of the repository: `pip install ".[notebooks]"`; about a minute on two cores.
# `ISVS_JAX_NOTEBOOK_SIZE=smoke` makes everything small.

# %%
import os

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from skimage.data import astronaut

from isvs_jax import SplitLBI, difference, piecewise_constant, plotting, scale_space, smooth

# %matplotlib inline

SMOKE = os.environ.get("ISVS_JAX_NOTEBOOK_SIZE") == "smoke"
SIDE = 16 if SMOKE else 96
COUNT = 6 if SMOKE else 11

# %% [markdown]
# ## A strip of times
#
# Images are floats in [0, 1] with shape `[..., H, W, C]`. Here: Eileen Collins (NASA, public domain), head and
# shoulders, made small by averaging blocks of pixels. Her path is followed once and recorded at eleven times, of which
# the strip shows five.


# %%
def shrunk(photograph, side):
    """A square photograph of bytes as [side, side, C] in [0, 1], by means over blocks."""
    block = photograph.shape[0] // side
    blocks = photograph[: side * block, : side * block].reshape(side, block, side, block, -1)
    return jnp.asarray(blocks.mean(axis=(1, 3)) / 255, jnp.float32)


def some_of(path, times):
    """A path at some of the times at which it is recorded."""
    places = np.searchsorted(path.times, np.float32(times))
    return jax.tree.map(lambda field: np.asarray(field)[places], path)


image = shrunk(astronaut()[:288, 80:368], SIDE)
fine = scale_space(image, np.geomspace(0.5, 16, COUNT).round(2))
path = some_of(fine, [1.0, 2.0, 4.0, 8.0, 16.0])
plotting.scale_space_strip(image, path)

# %% [markdown]
# - **dense**, u(t): what has entered, at nearly its full contrast; what has not is blurred over about 1/√ν pixels.
# - **sparse**: the projection of the image onto the edges that have entered. The others are exactly 0, so it is
#   piecewise constant. A contour with a gap divides nothing: early, most of the picture is one region.
#
# A line of pixels shows both. The sparse image jumps where the original jumps, and is flat between. Left of the head it
# is off: the wall is one region on both sides of her and takes one mean.

# %%
row = SIDE // 3
late = path.times.tolist().index(8.0)
support = jax.tree.map(lambda edge: edge[late], path.support)
sparse = piecewise_constant(image, path.support)[late]

figure = Figure(figsize=(7, 2.6), layout="constrained")
ax = figure.add_subplot()
for number, (name, shown) in enumerate({"original": image, "dense": path.dense[late], "sparse": sparse}.items()):
    line = np.asarray(shown[row].mean(-1))
    ax.plot(line, label=name, color=plotting.COLOURS[number], linewidth=1.2, drawstyle="steps-mid")
ax.set(xlabel=f"pixel of row {row}", ylabel="mean of the colours", title="t = 8")
ax.legend(fontsize=8)
figure

# %%
entered = int(support.horizontal.sum() + support.vertical.sum())
edges = support.horizontal.size + support.vertical.size
print(f"t = 8: {entered} of {edges} edges have entered, {entered / edges:.0%}")
print(f"difference of the means of image and u(8): {float(jnp.abs((image - path.dense[late]).mean((0, 1))).max()):.1e}")

# %% [markdown]
# ## The order of entry
#
# The first recorded time at which an edge of each pixel is in the support, and how many edges are in it.

# %%
figure = Figure(figsize=(8.5, 3.3), layout="constrained")
left, right = figure.subplots(1, 2)
plotting.entry_times(fine, axes=[left])
plotting.support_size(fine, share=True, ax=right)
figure

# %% [markdown]
# ## Noise stays outside while contours enter
#
# Gaussian noise with σ = 0.08. Two kinds of edges are counted: contours, where the clean image has a difference above
# 0.3, and flat places, where it has one below 0.03 and every difference is noise.

# %%
SIGMA = 0.08
noisy = image + SIGMA * jax.random.normal(jax.random.key(0), image.shape)
noisy_path = scale_space(noisy, [1, 2, 4, 8, 8.8, 16] if SMOKE else [1, 2, 3, 4, 6, 8, 8.8, 10, 12, 16, 32])
times = [1.0, 2.0, 4.0, 8.0, 16.0] if SMOKE else [1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0, 16.0]
until_16 = some_of(noisy_path, times)


def share_entered(chosen):
    """The share of the chosen edges in the support at each time."""
    inside = [jnp.sum(edge & where, axis=(1, 2, 3)) for edge, where in zip(until_16.support, chosen, strict=True)]
    return np.asarray(sum(inside) / sum(where.sum() for where in chosen))


height = [jnp.linalg.norm(edge, axis=-1, keepdims=True) for edge in difference(image)]
contours = share_entered([edge > 0.3 for edge in height])
flat = share_entered([edge < 0.03 for edge in height])

figure = Figure(figsize=(9, 3.1), layout="constrained")
left, right = figure.subplots(1, 2)
left.plot(times, 100 * contours, "o-", color=plotting.COLOURS[0], label="contours")
left.plot(times, 100 * flat, "s--", color=plotting.COLOURS[5], label="flat places")
left.axvline(0.7 / SIGMA, color="0.6", linestyle=":", label="t = 0.7/σ")
left.set(xlabel="time t", ylabel="entered edges in %", ylim=(0, 100))
left.legend(fontsize=8)
plotting.denoising_curves(noisy, image, until_16, ax=right)
figure

# %% [markdown]
# A rule of thumb comes of it: against noise of standard deviation σ, stop at about t = 1/σ where the image is grey.
# Where three colours share an edge, their noise adds up in it and enters earlier: 0.7/σ, here 8.8. The strip shows the
# noisy image before and past that.

# %%
shown = some_of(noisy_path, [2.0, 4.0, 8.8, 16.0] if SMOKE else [2.0, 4.0, 8.8, 16.0, 32.0])
figure = plotting.scale_space_strip(noisy, shown, ["dense"])
figure.axes[0].set_title("noisy, σ = 0.08", fontsize=9)
figure

# %% [markdown]
# κ says how quickly an edge comes up once it has entered. It hardly changes the image, but the number of steps goes
# with κ/ν: where time is short, κ = 1 denoises nearly as well.

# %%
for kappa in (1.0, 5.0, 20.0):
    solver = SplitLBI(kappa=kappa)
    error = jnp.mean((smooth(noisy, 8.8, solver) - image) ** 2)
    print(f"κ = {kappa:<4g} {8.8 / solver.stability_bound:4.0f} Euler steps, PSNR {-10 * jnp.log10(error):.2f} dB")

# %% [markdown]
# ## Large scale first: small ν against large ν
#
# A wide disc of low contrast (0.4) and small squares of full contrast. ν is how far an edge looks around, about 1/√ν
# pixels. A small ν weighs size together with contrast, and the disc comes first. A large ν takes edges one by one, so
# that contrast alone decides, and the squares come first.

# %%
size = 24 if SMOKE else 64
rows, columns = np.mgrid[:size, :size] / size
scene = np.where((rows - 0.42) ** 2 + (columns - 0.42) ** 2 < 0.36**2, 0.4, 0.0)
for top, left_side in ((0.8, 0.15), (0.86, 0.5), (0.8, 0.85), (0.45, 0.88), (0.1, 0.85)):
    corner = int(top * size), int(left_side * size)
    scene[corner[0] : corner[0] + 3, corner[1] : corner[1] + 3] = 1.0
scene = jnp.asarray(scene[..., None], jnp.float32)

nus = (0.1, 1.0) if SMOKE else (0.01, 0.1, 1.0)
orders = np.geomspace(0.25, 8, COUNT).round(2)
# As images, around the times at which the squares and the disc enter.
stages = {0.1: (1.0, 1.4, 2.0), 1.0: (2.0, 4.0, 6.0)} if SMOKE else {0.01: (0.4, 0.8, 2.0), 1.0: (2.0, 4.0, 6.0)}
every = sorted({*orders, *(time for chosen in stages.values() for time in chosen)})
scene_paths = {nu: scale_space(scene, every, SplitLBI(nu=nu)) for nu in nus}

figure = Figure(figsize=(3.3 * len(nus), 2.7), layout="constrained")
for ax, (nu, scene_path) in zip(figure.subplots(1, len(nus)), scene_paths.items(), strict=True):
    plotting.entry_times(some_of(scene_path, orders), names=[f"ν = {nu}"], axes=[ax])
figure

# %% [markdown]
# The same as images, around the times at which they enter. What has not entered is blurred over about 1/√ν pixels:
# ten for ν = 0.01, where the squares are gone, one for ν = 1.

# %%
figure = Figure(figsize=(7, 3.8), layout="constrained")
for row, (nu, chosen) in zip(figure.subplots(2, 4), stages.items(), strict=True):
    plotting.scale_space_strip(scene, some_of(scene_paths[nu], chosen), ["dense"], names=[f"ν = {nu}"], axes=row)
figure

# %% [markdown]
# So choose the time first, ν where size has to count, and κ by the cost. A small ν costs steps, as a large κ does. The
# pages "Choosing ν, κ and t" and "The mathematics" go on from here.
