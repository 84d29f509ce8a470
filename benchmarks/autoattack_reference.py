"""The official AutoAttack and ours on one JAX network and the same images, side by side.

The official code (PyTorch, github.com/fra31/auto-attack) sees the network through a
torch.autograd.Function whose backward pass is jax.vjp. It is imported from a checkout:

    pip install torch pillow optax
    git clone https://github.com/fra31/auto-attack
    python benchmarks/autoattack_reference.py --reference auto-attack --data-dir DATA --count 500

DATA is a folder of CIFAR-10 as `common.cifar_images` reads it. The network, four convolutions with strides (2 MMAC), is
trained for a few minutes first, or read from --weights.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import cifar_images

from isvs_jax.robustness.attacks import autoattack_report
from isvs_jax.robustness.attacks._autoattack import VERSIONS

STANDARD = VERSIONS["standard"]
# Kernel, input and output channels, stride.
LAYERS = ((3, 3, 24, 2), (3, 24, 48, 2), (3, 48, 96, 2), (3, 96, 64, 1))


def read_images(folder: Path, split: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first images of a split as float32 in [0, 1], and their labels."""
    images, labels = cifar_images(count, split, folder)
    return images.astype(np.float32) / 255.0, labels


def initial_parameters(key: jax.Array) -> list[dict[str, jax.Array]]:
    """The parameters before training."""
    parameters = []
    for kernel, inputs, outputs, _ in LAYERS:
        key, layer_key = jax.random.split(key)
        scale = (2.0 / (kernel * kernel * inputs)) ** 0.5
        weight = scale * jax.random.normal(layer_key, (kernel, kernel, inputs, outputs))
        parameters.append({"weight": weight, "bias": jnp.zeros(outputs)})
    key, head_key = jax.random.split(key)
    width = LAYERS[-1][2]
    head = jax.random.normal(head_key, (width, 10)) / width**0.5
    return [*parameters, {"weight": head, "bias": jnp.zeros(10)}]


def network(parameters: list[dict[str, jax.Array]], images: jax.Array) -> jax.Array:
    """Logits [B, 10] of images [B, 32, 32, 3]."""
    x = (images - 0.45) * 4.0
    for layer, (_, _, _, stride) in zip(parameters[:-1], LAYERS, strict=True):
        x = jax.lax.conv_general_dilated(
            x, layer["weight"], (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jax.nn.relu(x + layer["bias"])
    return x.mean(axis=(1, 2)) @ parameters[-1]["weight"] + parameters[-1]["bias"]


def train(folder: Path, count: int, epochs: int, noise: float) -> list[dict[str, jax.Array]]:
    """Adam on the first images, with flips and Gaussian noise."""
    import optax

    images, labels = read_images(folder, "train", count)
    parameters = initial_parameters(jax.random.key(0))
    steps = epochs * (count // 128)
    optimiser = optax.adam(optax.cosine_decay_schedule(3e-3, steps))

    def loss(parameters: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        logits = network(parameters, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    @jax.jit
    def step(parameters: Any, state: Any, x: jax.Array, y: jax.Array, key: jax.Array) -> Any:
        flip_key, noise_key = jax.random.split(key)
        flip = jax.random.bernoulli(flip_key, 0.5, (len(x), 1, 1, 1))
        x = jnp.where(flip, x[:, :, ::-1], x) + noise * jax.random.normal(noise_key, x.shape)
        updates, state = optimiser.update(jax.grad(loss)(parameters, x, y), state)
        return optax.apply_updates(parameters, updates), state

    state = optimiser.init(parameters)
    order = np.random.default_rng(0)
    for epoch in range(epochs):
        shuffled = order.permutation(count)
        for i in range(count // 128):
            rows = shuffled[128 * i : 128 * (i + 1)]
            key = jax.random.fold_in(jax.random.key(1), epoch * (count // 128) + i)
            parameters, state = step(parameters, state, images[rows], labels[rows], key)
    return parameters


def as_torch(logits_fn: Any) -> Any:
    """The network for torch: [B, C, H, W] tensors in, logits out, gradients by jax.vjp."""
    import torch

    forward = jax.jit(logits_fn)
    backward = jax.jit(lambda x, g: jax.vjp(logits_fn, x)[1](g)[0])

    def padded(array: np.ndarray) -> np.ndarray:
        # A few shapes only, powers of two, so that a shrinking batch does not compile each time.
        size = max(8, 1 << (len(array) - 1).bit_length())
        return np.pad(array, [(0, size - len(array))] + [(0, 0)] * (array.ndim - 1))

    class Network(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, x: Any) -> Any:
            images = padded(x.detach().numpy().transpose(0, 2, 3, 1))
            context.images = images
            return torch.from_numpy(np.array(forward(images))[: len(x)])

        @staticmethod
        def backward(context: Any, gradient: Any) -> Any:
            full = padded(gradient.numpy())
            pulled = np.array(backward(context.images, full))[: len(gradient)]
            return torch.from_numpy(np.ascontiguousarray(pulled.transpose(0, 3, 1, 2)))

    return Network.apply


def official(
    logits_fn: Any,
    images: np.ndarray,
    labels: np.ndarray,
    epsilon: float,
    norm: str,
    individually: bool,
    batch_size: int,
    seed: int,
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Robust masks and seconds of the official attacks, by name."""
    import torch
    from autoattack import AutoAttack

    model = as_torch(logits_fn)
    x = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    y = torch.from_numpy(labels.astype(np.int64))
    clean = np.asarray(jnp.argmax(logits_fn(jnp.asarray(images)), axis=1)) == labels
    masks, seconds = {"clean": clean}, {}
    robust = clean.copy()
    for attack in STANDARD:
        name = {"linf": "Linf", "l2": "L2"}[norm]
        adversary = AutoAttack(
            model, norm=name, eps=epsilon, seed=seed, version="standard", device="cpu",
            verbose=False,
        )  # fmt: skip
        adversary.attacks_to_run = [attack]
        rows = np.flatnonzero(clean if individually else robust)
        begin = time.perf_counter()
        found = adversary.run_standard_evaluation(x[rows], y[rows], bs=batch_size)
        seconds[attack] = time.perf_counter() - begin
        with torch.no_grad():
            kept = (model(found).argmax(1) == y[rows]).numpy()
        masks[attack] = np.zeros_like(clean)
        masks[attack][rows] = kept
        robust &= masks[attack]
    masks["all"] = robust
    return masks, seconds


def ours(
    logits_fn: Any,
    images: np.ndarray,
    labels: np.ndarray,
    epsilon: float,
    norm: str,
    individually: bool,
    batch_size: int,
    seed: int,
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Robust masks and seconds (compilation included) of our attacks, by name."""
    seconds = dict.fromkeys(STANDARD, 0.0)
    last = time.perf_counter()

    def progress(attack: str, run: int, runs: int, left: int) -> None:
        nonlocal last
        seconds[attack] += time.perf_counter() - last
        last = time.perf_counter()

    result = autoattack_report(
        logits_fn, images, labels, jax.random.key(seed), epsilon=epsilon, norm=norm,
        individually=individually, batch_size=batch_size, progress=progress,
    )  # fmt: skip
    for warning in result.warnings:
        print("warning:", warning)
    return {**result.per_attack, "all": result.robust}, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reference", type=Path, required=True, help="checkout of auto-attack")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="npz to read, or to write after training")
    parser.add_argument("--count", type=int, default=500, help="test images")
    parser.add_argument("--epsilon", type=float, default=1.0, help="L∞ grey levels, or L2 radius")
    parser.add_argument("--norm", choices=("linf", "l2"), default="linf")
    parser.add_argument("--individually", action="store_true", help="each attack on all images")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--train-count", type=int, default=20000)
    parser.add_argument("--noise", type=float, default=0.05)
    arguments = parser.parse_args()
    sys.path.insert(0, str(arguments.reference))
    warnings.filterwarnings("ignore", category=UserWarning, module="torch")

    if arguments.weights is not None and arguments.weights.exists():
        stored = np.load(arguments.weights)
        pairs = [(stored[f"weight{i}"], stored[f"bias{i}"]) for i in range(len(LAYERS) + 1)]
        parameters = [{"weight": jnp.asarray(w), "bias": jnp.asarray(b)} for w, b in pairs]
    else:
        begin = time.perf_counter()
        parameters = train(arguments.data_dir, arguments.train_count, arguments.epochs, arguments.noise)
        print(f"trained in {time.perf_counter() - begin:.0f} s")
        if arguments.weights is not None:
            named = {f"{k}{i}": v for i, p in enumerate(parameters) for k, v in p.items()}
            np.savez(arguments.weights, **named)
    logits_fn = functools.partial(network, parameters)
    images, labels = read_images(arguments.data_dir, "test", arguments.count)
    epsilon = arguments.epsilon / 255 if arguments.norm == "linf" else arguments.epsilon

    common = (images, labels, epsilon, arguments.norm, arguments.individually)
    mine, my_seconds = ours(logits_fn, *common, arguments.batch_size, arguments.seed)
    print_column("ours", mine, my_seconds)
    theirs, their_seconds = official(logits_fn, *common, 250, arguments.seed)
    print_column("official", theirs, their_seconds)
    print(f"\n{arguments.count} images, {arguments.norm}, epsilon {arguments.epsilon:g}; robust, %")
    print("| after | ours | official | difference, points | examples that differ |")
    print("|---|---|---|---|---|")
    for name in ("clean", *STANDARD, "all"):
        a, b = 100 * mine[name].mean(), 100 * theirs[name].mean()
        differing = int((mine[name] != theirs[name]).sum())
        print(f"| {name} | {a:.1f} | {b:.1f} | {a - b:+.1f} | {differing} |")


def print_column(title: str, masks: dict[str, np.ndarray], seconds: dict[str, float]) -> None:
    """Print what is left after each attack, and its seconds."""
    parts = [f"{k} {100 * m.mean():.1f}% ({seconds.get(k, 0):.0f} s)" for k, m in masks.items()]
    print(f"{title}: {', '.join(parts)}", flush=True)


if __name__ == "__main__":
    main()
