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
# # Many devices
#
# Eight devices without having them: JAX divides the CPU into eight. On eight GPUs the same runs without the two lines
# that ask for that. It shows that results are the same, not that it is faster: fake devices share the same cores.
#
# From a clone of the repository: `pip install ".[notebooks]"`; about a minute on two cores.
# `ISVS_JAX_NOTEBOOK_SIZE=smoke` makes everything small.

# %%
import os

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from matplotlib.figure import Figure

from isvs_jax import data, models, plotting, scale_space, smooth, training

# %matplotlib inline

# Before anything asks for a device.
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 8)

SMOKE = os.environ.get("ISVS_JAX_NOTEBOOK_SIZE") == "smoke"
SIZE = 8 if SMOKE else 16
BATCH = 16 if SMOKE else 64
STEPS = 2 if SMOKE else 30

digits = data.load("digits", image_size=SIZE)
print(len(jax.devices()), "devices")

# %% [markdown]
# ## Smoothing
#
# Put the batch on the devices and call the same function under `jit`: images do not depend on each other, so that the
# work is divided and nothing is exchanged.

# %%
mesh = Mesh(np.array(jax.devices()), ("data",))
divided = PartitionSpec("data")
images = digits.train.images[:BATCH]
on_devices = jax.device_put(images, NamedSharding(mesh, divided))
smoothed = jax.jit(lambda x: smooth(x, 4.0))(on_devices)
jax.debug.visualize_array_sharding(smoothed[:, :, 0, 0])

# %% [markdown]
# `jax.shard_map` says the same by hand. Both give what one device gives.

# %%
by_hand = jax.jit(jax.shard_map(lambda x: smooth(x, 4.0), mesh=mesh, in_specs=divided, out_specs=divided))(on_devices)
on_one = smooth(images, 4.0)
print("jit of a divided batch:", float(np.abs(np.asarray(smoothed) - on_one).max()))
print("shard_map:             ", float(np.abs(np.asarray(by_hand) - on_one).max()))

# %% [markdown]
# A scale space has a time axis in front and is divided along its second axis. Nothing but the mesh names the number of
# devices.

# %%
path = jax.jit(lambda x: scale_space(x, [2.0, 4.0]))(on_devices)
print(path.dense.shape, path.dense.sharding.spec)

# %% [markdown]
# ## A step of training
#
# `make_train_step` writes the step for one device; `map_over_devices` maps it. Each device takes its share of the
# batch; gradients, metrics and batch statistics are averaged over the axis `training.AXIS`. What is random about an
# example, the time of its path among it, follows from its place in the batch, so that eight devices take the steps that
# one takes, to rounding.

# %%
views = (training.View(2.0),) if SMOKE else (training.View(2.0), training.View(4.0, "sparse"))
config = training.TrainConfig(
    inputs=training.Inputs("random", views),
    augmentation=training.Augmentation(crop=1, noise=0.1),
)
model = models.build("cnn", digits.num_classes, channels=1, axis_name=training.AXIS).clone(width=4 if SMOKE else 8)
optimizer = training.make_optimizer(config.optimizer, STEPS)
step = training.make_train_step(model, optimizer, config, axis_name=training.AXIS)


def batches():
    """The same batches whatever the devices."""
    rng = np.random.default_rng(0)
    for _ in range(STEPS):
        rows = rng.choice(len(digits.train), BATCH, replace=False)
        yield training.plain_batch(digits.train.images[rows], digits.train.labels[rows])


def run(devices):
    """Losses and last parameters on these devices."""
    mapped = training.map_over_devices(step, devices)
    state = mapped.place_state(training.init_state(model, optimizer, digits.image_shape, seed=0))
    losses = []
    for batch in batches():
        state, metrics = mapped.advance(state, mapped.place_batch(batch))
        losses.append(float(metrics.loss))
    return losses, jax.device_get(state.params)


runs = {count: run(jax.devices()[:count]) for count in (1, 8)}

# %%
figure = Figure(figsize=(5, 2.8), layout="constrained")
ax = figure.add_subplot()
for number, (count, (losses, _)) in enumerate(runs.items()):
    looks = {
        "color": plotting.COLOURS[number],
        "linestyle": "-" if number == 0 else "--",
        "linewidth": 3 - 1.5 * number,
    }
    ax.plot(losses, label=f"{count} device{'s' if count > 1 else ''}", **looks)
ax.set(xlabel="step", ylabel="loss")
ax.legend(fontsize=8)
figure

# %%
first, last = (abs(runs[1][0][number] - runs[8][0][number]) for number in (0, -1))
print(f"difference of the losses: {first:.1e} in the first step, {last:.1e} in the last")
distances = jax.tree.map(lambda one, eight: np.abs(one - eight).max(), runs[1][1], runs[8][1])
sizes = jax.tree.map(lambda one: np.abs(one).max(), runs[1][1])
print(f"largest difference of a parameter after {STEPS} steps: {max(jax.tree.leaves(distances)):.1e}")
print(f"largest parameter: {max(jax.tree.leaves(sizes)):.1e}")

# %% [markdown]
# Sums are rounded in another order on eight devices. The first step differs by rounding alone; every later one carries
# the rounding of those before it on.
#
# ## The whole run
#
# `training.train`, and `python -m isvs_jax.training`, use all devices without being told; `Resources(devices=4)` takes
# four. Several machines start the same command with `--distributed.mode auto`. See the page "Devices".

# %%
few = data.load("digits", image_size=8, limit_train=64).train
short = training.TrainConfig(epochs=1, batch_size=32)
state = training.train(model.clone(width=4), few, short, resources=training.Resources(devices=8), progress=False)
print(int(state.step), "steps on eight devices")
