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
# # Start here: ten minutes on real photographs
#
# Look at paths, train one network on raw photographs and one along their paths, judge both, and read the report. About
# ten minutes on the two cores of a Colab machine; nothing has to be there but a network and `git`.
#
# In Colab: *File*, *Upload notebook*, then *Runtime*, *Run all*. This cell installs the library where it is missing.
# Until it is published, upload a wheel too (`make wheel`), and let `SOURCE` be its path with `[train]` behind it.

# %%
import importlib.util
import subprocess
import sys

SOURCE = "isvs_jax[train]"

if importlib.util.find_spec("isvs_jax") is None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", SOURCE], check=True)

# %%
import os
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
from IPython.display import HTML
from matplotlib.figure import Figure

from isvs_jax import data, plotting, robustness, scale_space, training
from isvs_jax.robustness.evaluation import summary

# %matplotlib inline

RECIPE = "path"  # the way of training that is compared with "raw"; `python -m isvs_jax.training --help` lists others
SIZE, NETWORK, EPOCHS = 64, "resnet18_slim", 6
OUT = Path("results")

SMOKE = os.environ.get("ISVS_JAX_NOTEBOOK_SIZE") == "smoke"  # everything small, in seconds; the figures say nothing
if SMOKE:
    SIZE, NETWORK, EPOCHS = 16, "cnn", 1

# %% [markdown]
# ## The photographs
#
# 3,781 photographs of clothes, taken by many people at home: ten classes that are told by their shapes
# ([clothing-dataset-small](https://github.com/alexeygrigorev/clothing-dataset-small), CC0, 100 MB). Your own
# photographs do as well: put them into folders `train/CLASS` and `test/CLASS`, and name the folder above them in the
# environment variable `ISVS_JAX_PHOTOGRAPHS`.


# %%
def photographs():
    """The folder of the photographs: that of the variable, or one that is downloaded once."""
    folder = Path(os.environ.get("ISVS_JAX_PHOTOGRAPHS", "clothing"))
    if SMOKE and "ISVS_JAX_PHOTOGRAPHS" not in os.environ:
        return crops(Path("crops"))
    if not folder.exists():
        address = "https://github.com/alexeygrigorev/clothing-dataset-small"
        subprocess.run(["git", "clone", "--quiet", "--depth", "1", address, folder], check=True)
    return folder


def crops(folder):
    """Without a network: pieces of photographs that come with scikit-image, a class for each."""
    import skimage.data
    from PIL import Image

    for name in ("coffee", "astronaut"):
        whole = Image.fromarray(getattr(skimage.data, name)())
        for number in range(24):
            part, left = "train" if number < 16 else "test", 12 * number
            (folder / part / name).mkdir(parents=True, exist_ok=True)
            whole.crop((left, left // 2, left + 96, left // 2 + 96)).save(folder / part / name / f"{number}.png")
    return folder


folder = photographs()
photos = data.load(folder, image_size=SIZE, progress=False)
# Of the test images 200 are judged, in an order that is drawn: in folders they lie sorted by class.
tested = data.load(folder, image_size=SIZE, limit_train=1, limit_test=16 if SMOKE else 200, progress=False)
order = np.random.default_rng(0).permutation(len(tested.test))
images, labels = data.as_float(tested.test.images[order]), tested.test.labels[order]
print(len(photos.train), "for training;", len(photos.test), "for testing, of which", len(images), "are judged")
print("classes:", ", ".join(photos.class_names))

# %% [markdown]
# ## Look at paths
#
# An image is rebuilt from nothing along a time axis. What is large and of high contrast enters first, texture next,
# noise last. Stopped early, the path gives an image with sharp contours and without fine scales.

# %%
few = images[:3]
path = scale_space(few, [1.0, 2.0] if SMOKE else [1.0, 2.0, 4.0, 8.0, 16.0])
plotting.scale_space_strip(few, path, names=[photos.class_names[label] for label in labels[:3]])

# %% [markdown]
# Slide over the time. The blur differs from the original by as much as dense does: it takes contours away together with
# texture, where the path keeps them.

# %%
noisy = robustness.corrupt(few, "gaussian_noise", 1, jax.random.key(0))[0]
times = [1.0, 2.0] if SMOKE else [0.5, 1, 2, 3, 4, 6, 8, 12, 16, 32]
HTML(
    plotting.path_slider(few[0], scale_space(few[0], times), name="a photograph", quality=80)
    + plotting.path_slider(noisy, scale_space(noisy, times), name="the same photograph with noise", quality=80)
)

# %% [markdown]
# ## Train twice
#
# A method is a configuration: `raw` shows the photographs as they are; `path` shows half of every batch as it is, and
# each of the others at one of three times of its path. Network, steps and seed are the same. Each training keeps its
# checkpoints in a folder: stopped, it goes on where it was, and finished, it is read.

# %%
methods = training.method_configs()
print(f"{RECIPE} shows {methods[RECIPE].inputs.raw_share:.0%} raw, and", *methods[RECIPE].inputs.views)

for method in ("raw", RECIPE):
    run = training.Run(
        out=OUT / method,
        data=data.DataChoice(f"folder:{folder}", image_size=SIZE),
        model=training.ModelChoice(NETWORK),
        train=replace(methods[method], epochs=EPOCHS, batch_size=16 if SMOKE else 64),
    )
    result = training.execute(run, dataset=photos, progress=False)
    print(f"{method:6} {result['clean_accuracy']:.1%} of all {result['test_images']} clean test images")

# %% [markdown]
# ## Judge both
#
# `quick()` is a look of minutes: 15 corruptions at three severities, low resolution, and two attacks. Both networks see
# the same images, and nothing is smoothed before them: the path was used in training alone.

# %%
quick = robustness.quick()
if SMOKE:
    few_tests = robustness.Corruptions(names=("contrast", "fog"), severities=(1,))
    quick = {"corruptions": few_tests, "resolutions": (), "attacks": None, "checks": None}

reports = []
for method in ("raw", RECIPE):
    logits_fn = training.load_classifier(OUT / method)
    report = robustness.evaluate(
        logits_fn,
        images,
        labels,
        jax.random.key(0),
        name=method,
        num_classes=photos.num_classes,
        class_names=photos.class_names,
        parameters=jax.tree.leaves(logits_fn),  # for their hash in the report
        folder=OUT / "judged" / method,
        progress=False,
        **quick,
    )
    reports.append(report)

# %% [markdown]
# ## Read the report
#
# `results/judged/raw/report.html` and `results/judged/path/report.html` are pages to open in a browser (in Colab: the
# folder symbol on the left). What matters first is this table: means over the corruptions, with fog and contrast beside
# them, which smoothing usually loses.

# %%
columns = [summary(report) for report in reports]
print(f"{'in %':34}", *(f"{report.name + ' (95% interval)':>24}" for report in reports))
for row in zip(*columns, strict=True):
    cells = []
    for figure in row:
        ends = "" if figure.interval is None else "({:.1f} to {:.1f})".format(*(100 * end for end in figure.interval))
        cells.append(f"{100 * figure.value:.1f} {ends:16}")
    print(f"{row[0].label:34}", *(f"{cell:>24}" for cell in cells))

# %% [markdown]
# The numbers in brackets are 95% intervals over the images of one network. Both networks saw the *same* images, so that
# their difference is known better than either: here by an interval over the images, for every corruption.


# %%
def difference(one, other, names):
    """The mean difference of two reports in points and half of its 95% interval over images."""
    cells = [(one.corruptions[name][s].mask, other.corruptions[name][s].mask) for name in names for s in one.severities]
    gained = np.mean([np.subtract(b, a, dtype=float) for a, b in cells], axis=0)
    return 100 * gained.mean(), 196 * gained.std(ddof=1) / np.sqrt(len(gained))


raw, other = reports
rows = {"all corruptions": list(raw.corruptions)} | {name.replace("_", " "): [name] for name in raw.corruptions}
found = {label: difference(raw, other, names) for label, names in rows.items()}

figure = Figure(figsize=(6.5, 0.6 + 0.28 * len(found)), layout="constrained")
ax = figure.add_subplot()
for place, (points, half) in enumerate(found.values()):
    ax.errorbar(points, place, xerr=half, fmt="o", color=plotting.COLOURS[0 if place else 5], capsize=3)
ax.axvline(0, color="0.6", linewidth=1)
ax.set_yticks(range(len(found)), found)
ax.invert_yaxis()
ax.set_xlabel(f"{RECIPE} − raw in points, with 95% intervals over the images")
figure

# %% [markdown]
# - **Which images break it?** `report.html` shows the worst of them: clean, corrupted, attacked.
# - **Attacks.** Both networks fall to nothing at ε = 8/255, as networks do that were not trained against attacks. A
#   robust accuracy of so quick a look is far too high rather than too low.
# - **Warnings** stand with the figures that they are about. Here they are:

# %%
for report in reports:
    print(f"{report.name}: {report.warnings[0] if report.warnings else 'no warnings'}")

# %% [markdown]
# ## What this shows, and what it does not
#
# One training of each method, six epochs, 200 images: another seed moves every line by a few points, and an interval
# over images says nothing of that. Whether a gain is due to the *path*, and not to any smoothing, is another question:
# train `"blur"` too, which shows Gaussian blurs of equal energy in place of the path. The page "Results" says what is
# known of that, with longer trainings.
#
# Next: your own photographs (`ISVS_JAX_PHOTOGRAPHS`), other methods (`sorted(training.method_configs())`), a longer
# training (`EPOCHS`), the standard protocol (`robustness.standard()`), and the same steps as commands with all sections
# of the report, on the page "Tutorial".
