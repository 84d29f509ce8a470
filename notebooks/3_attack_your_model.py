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
# # Attack your own model
#
# The referee takes any function from images `[B, H, W, C]` in [0, 1] to logits `[B, K]`. Here it is a two-layer network
# written by hand; Flax, Equinox, Haiku, or a ResNet with weights from PyTorch (`models.import_resnet`) make no
# difference.
#
# From a clone of the repository: `pip install ".[notebooks]"`; about two minutes on two cores.
# `ISVS_JAX_NOTEBOOK_SIZE=smoke` makes everything small.

# %%
import os

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial
from matplotlib.figure import Figure

from isvs_jax import data, plotting, robustness

# %matplotlib inline

SMOKE = os.environ.get("ISVS_JAX_NOTEBOOK_SIZE") == "smoke"
SIZE = 8 if SMOKE else 16

digits = data.load("digits", image_size=SIZE, limit_train=200 if SMOKE else None)
COUNT = 16 if SMOKE else 200
images, labels = digits.test.images[:COUNT], digits.test.labels[:COUNT]

# %% [markdown]
# ## The model


# %%
def network(params, images):
    """Logits of images in [0, 1]. What normalises the input belongs in here, so that ε keeps its meaning."""
    hidden = jax.nn.relu((images.reshape(len(images), -1) - 0.5) @ params["in"] + params["bias"])
    return hidden @ params["out"]


def trained(key, steps):
    """Parameters after full-batch Adam on images with a little noise."""
    keys = jax.random.split(key, 3)
    shapes = {"in": (SIZE * SIZE, 128), "out": (128, 10)}
    params = {name: jax.random.normal(k, s) * s[0] ** -0.5 for k, (name, s) in zip(keys, shapes.items(), strict=False)}
    params["bias"] = jnp.zeros(128)
    optimizer = optax.adam(3e-3)

    def step(carry, key):
        params, state = carry

        def loss(params):
            noisy = digits.train.images + 0.05 * jax.random.normal(key, digits.train.images.shape)
            return optax.softmax_cross_entropy_with_integer_labels(network(params, noisy), digits.train.labels).mean()

        updates, state = optimizer.update(jax.grad(loss)(params), state)
        return (optax.apply_updates(params, updates), state), None

    return jax.lax.scan(step, (params, optimizer.init(params)), jax.random.split(keys[2], steps))[0][0]


params = jax.jit(trained, static_argnums=1)(jax.random.key(0), 20 if SMOKE else 150)
logits_fn = Partial(network, params)

# %% [markdown]
# A `jax.tree_util.Partial` of a function and its arrays is known again: attacks compile once for all models of one
# architecture. A plain function or lambda works too.
#
# ## Corruptions and two attacks, one by one


# %%
def accuracy(shown):
    """The share of the images, in whatever state, that the network gets right."""
    return float((logits_fn(jnp.asarray(shown)).argmax(-1) == labels).mean())


EPSILON = 0.1
key = jax.random.key(1)
noisy = robustness.corrupt(images, "gaussian_noise", severity=3, key=key)
random = jnp.clip(images + EPSILON * jnp.sign(jax.random.normal(key, images.shape)), 0, 1)
pgd = robustness.pgd(logits_fn, images, labels, key, epsilon=EPSILON, num_steps=3 if SMOKE else 20)
for name, shown in {"clean": images, "gaussian_noise, 3": noisy, "random signs, 0.1": random, "PGD, 0.1": pgd}.items():
    print(f"{name:20} {accuracy(shown):.1%}")

# %% [markdown]
# Above each picture is the digit that the network sees in it, in colour where it is wrong.

# %%
figure = Figure(figsize=(7, 2.4), layout="constrained")
for row, name, shown in zip(figure.subplots(2, 8), ("clean", "PGD"), (images, pgd), strict=True):
    row[0].set_ylabel(name)
    for ax, picture, seen, label in zip(row, shown, logits_fn(jnp.asarray(shown)).argmax(-1), labels, strict=False):
        ax.imshow(picture[..., 0], cmap="gray", vmin=0, vmax=1)
        ax.set(xticks=[], yticks=[])
        ax.set_title(str(seen), fontsize=9, color="black" if seen == label else plotting.COLOURS[5])
figure

# %% [markdown]
# Random signs of the same size hardly matter; chosen ones do. `autoattack` is the standard ensemble;
# `autoattack_report` is the same with what each attack left, and with warnings.

# %%
budget = {"attacks": ("apgd-ce",), "num_steps": 4} if SMOKE else {"num_queries": 1000}
result = robustness.autoattack_report(logits_fn, images, labels, key, epsilon=EPSILON, **budget)
for attack, robust in result.per_attack.items():
    print(f"still right after {attack:8} {np.mean(robust):.1%}")
print("warnings:", *(result.warnings or ["none"]), sep="\n")

# %% [markdown]
# ## Everything at once
#
# `evaluate` makes the table of corruptions, attacks, the ε-curve and low resolution, checks the attacks with twice
# their steps, and with `folder=` writes `report.md` and goes on after a stop. Here it is a part of the full table.

# %%
names = ("gaussian_noise",) if SMOKE else ("gaussian_noise", "impulse_noise", "contrast", "fog", "pixelate")
attacks = robustness.Attacks(
    ("apgd-ce",) if SMOKE else ("apgd-ce", "square"),
    epsilons=(EPSILON,),
    num_steps=4 if SMOKE else 50,
    num_queries=10 if SMOKE else 500,
)
report = robustness.evaluate(
    logits_fn,
    images,
    labels,
    key,
    name="two layers",
    corruptions=robustness.Corruptions(names, severities=(3,) if SMOKE else (1, 3, 5)),
    resolutions=() if SMOKE else (robustness.Resolution(2, "area", "bilinear", None),),
    attacks=attacks,
    checks=None if SMOKE else robustness.HardStopChecks(curve=(0.02, 0.05, 0.1, 0.2, 0.5)),
    resources=robustness.Resources(batch_size=len(images), devices=jax.devices()[:1]),
    progress=False,
)
print(f"clean {report.clean.accuracy:.1%}, 95% interval {[round(100 * end, 1) for end in report.clean.interval]}")
for name, row in report.corruptions.items():
    print(f"{name:16}", *(f"severity {severity}: {cell.accuracy:6.1%}  " for severity, cell in row.items()))
for attack in report.attacks:
    print(f"worst case at ε = {attack.epsilon}: {attack.worst.accuracy:.1%}", *report.attack_warnings(attack))

# %%
figure = Figure(figsize=(4.5, 2.8), layout="constrained")
ax = figure.add_subplot()
for curve in report.curves:
    ax.plot([0, *curve.epsilons], [100 * report.clean.accuracy, *(100 * cell.accuracy for cell in curve.cells)], "o-")
ax.axhline(10, color="0.4", linestyle="--", linewidth=1, label="chance")
ax.legend(fontsize=8)
ax.set(xlabel="ε (L∞)", ylabel="accuracy under PGD in %", ylim=(0, 100))
figure

# %% [markdown]
# The curve must come down to chance or below. One that does not says that the attack, not the model, has failed.
#
# ## A defence must be attacked as one
#
# Smoothing before the network is an optimisation loop, and attacks that see only its gradient may be misled. Give the
# network and the defence apart: `attack_defence` takes the worst case, example by example, over six ways.

# %%
defence = robustness.smoothing_defence(4.0)
defended = robustness.attack_defence(
    logits_fn,
    defence,
    images[: 8 if SMOKE else 50],
    labels[: 8 if SMOKE else 50],
    key,
    epsilon=EPSILON,
    attacks=("apgd-ce",),
    ways=("identity", "noise") if SMOKE else robustness.WAYS,
    num_steps=3 if SMOKE else 20,
    num_queries=5 if SMOKE else 200,
    num_draws=2 if SMOKE else 50,
)
for way, robust in defended.per_attack.items():
    print(f"still right after {way:10} {np.mean(robust):.1%}")
print(f"without the defence, AutoAttack  {np.mean(result.robust[: len(defended.robust)]):.1%}")
print("warnings:", *(defended.warnings or ["none"]), sep="\n")

# %% [markdown]
# The figure to report is that after the last way, with its warnings, beside that of the same images without the
# defence. The first way, the gradient through the whole model, is what a naive test would have stopped at. Here the
# defence gains nothing and costs some clean images: the network was not trained on smoothed ones. 50 images tell
# differences of 20 points, not of two.
#
# A warning is not an error of the referee: it says why a figure may be too high, for instance that steps were few. More
# on the pages "Evaluation and its pitfalls" and "The referee".
