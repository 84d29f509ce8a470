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
# # Train and test on the digits, in minutes
#
# Four classifiers with the same network, budget and seed: on the images as they are or along the path, each without and
# with Gaussian noise. All are tested on raw images, clean and corrupted: nothing is smoothed at test time.
#
# From a clone of the repository: `pip install ".[notebooks]"`; about two minutes on two cores.
# `ISVS_JAX_NOTEBOOK_SIZE=smoke` makes everything small.

# %%
import os

import jax
import numpy as np
from matplotlib.figure import Figure

from isvs_jax import data, models, plotting, robustness, scale_space, training

# %matplotlib inline

SMOKE = os.environ.get("ISVS_JAX_NOTEBOOK_SIZE") == "smoke"
SIZE = 8 if SMOKE else 16
EPOCHS = 1 if SMOKE else 20

# %% [markdown]
# ## The data, and what the path makes of it
#
# 1,797 handwritten digits come with scikit-learn; nothing is downloaded. The split is always the same.

# %%
digits = data.load("digits", image_size=SIZE, limit_train=64 if SMOKE else None, limit_test=32 if SMOKE else 500)
print(digits.source, len(digits.train), "for training,", len(digits.test), "for testing")
few = digits.test.images[:2]
plotting.scale_space_strip(
    few, scale_space(few, [2.0, 4.0, 8.0]), names=[str(label) for label in digits.test.labels[:2]]
)

# %% [markdown]
# ## Four trainings
#
# A way to use the path is an `Inputs`. `"random"` shows a share `raw_share` of each batch raw, and the rest in one of
# the views each; the step follows no path but theirs.

# %%
views = (training.View(2.0),) if SMOKE else (training.View(2.0), training.View(4.0), training.View(4.0, "sparse"))
raw, path = training.Inputs(), training.Inputs("random", views, raw_share=0.5)
plain, noise = training.Augmentation(crop=1), training.Augmentation(crop=1, noise=0.1)
ways = {"raw": (raw, plain), "path + noise": (path, noise)}
if not SMOKE:
    ways = {"raw": (raw, plain), "raw + noise": (raw, noise), "path": (path, plain), "path + noise": (path, noise)}
model = models.build("cnn", digits.num_classes, channels=1).clone(width=4 if SMOKE else 16)

networks = {}
for name, (inputs, augmentation) in ways.items():
    config = training.TrainConfig(
        epochs=EPOCHS, batch_size=32 if SMOKE else 64, inputs=inputs, augmentation=augmentation
    )
    state = training.train(model, digits.train, config, resources=training.Resources(devices=1), progress=False)
    networks[name] = models.logits_fn(model, state.variables)
    accuracy = training.evaluate(networks[name], digits.test.images, digits.test.labels)
    print(f"{name:13} {int(state.step)} steps, {accuracy:.1%} of the clean test images")

# %% [markdown]
# With `run_dir=` a training keeps checkpoints and a log, and the same call goes on where it was stopped.
#
# ## Corruptions
#
# `robustness.corrupt` makes them at five severities; severity 0 is the clean image. By default it takes the parameters
# for images of their size. Those hardly hurt on digits, so here they are the harder ones for photographs,
# `table=224`.

# %%
names = (
    ["gaussian_noise"] if SMOKE else ["gaussian_noise", "impulse_noise", "defocus_blur", "contrast", "pixelate", "fog"]
)
severities = (1,) if SMOKE else (1, 2, 3, 4, 5)


def corrupted(name, severity):
    """The test images at one severity; every model sees the same."""
    if severity == 0:
        return digits.test.images
    key = jax.random.fold_in(jax.random.key(0), severity)
    return np.asarray(robustness.corrupt(digits.test.images, name, severity, key, table=224))


table = {name: {network: [] for network in networks} for name in names}
for name in names:
    for severity in (0, *severities):
        images = corrupted(name, severity)
        for network, logits_fn in networks.items():
            table[name][network].append(training.evaluate(logits_fn, images, digits.test.labels))

figure = Figure(figsize=(9.5, 2.8 * -(-len(names) // 3)), layout="constrained")
for ax, name in zip(figure.subplots(-(-len(names) // 3), 3).flat, names, strict=False):
    plotting.accuracy_by_severity(table[name], (0, *severities), chance=0.1, ax=ax)
    ax.set_title(name, fontsize=9)
    if name != names[0]:
        ax.get_legend().remove()
figure

# %%
print("mean over severities, in %".ljust(26), *(f"{network:>13}" for network in networks))
for name in names:
    print(name.ljust(26), *(f"{100 * np.mean(row[1:]):13.1f}" for row in table[name].values()))

# %% [markdown]
# ## How to read this
#
# Noise in training is a strong baseline against noise, so it stands beside the path; where images are tested raw, the
# path alone gives nothing there. It helps where fine detail is gone, under blur and pixelation, and together the two
# have both.
#
# One training of each, on 500 small test images: a difference of less than about four points says nothing, and another
# seed gives other lines. Contrast and fog are what smoothing usually loses on photographs; they belong in every table.
# What can be said with more images, networks and seeds is on the page "Results".
