"""Two defences that resist nothing, before a ResNet-20 on CIFAR-10: what plain PGD says, and what the referee says.

    python benchmarks/broken_defences.py --checkpoint resnet20-12fca82f.th --count 50

The images are those of `common.cifar_images`, from $ISVS_JAX_DATA. Every defence is attacked by PGD through the
gradient of the whole model, by the six ways of `attack_defence`, and by the hard stop rule twice: over all ways, and
over the whole model's gradient alone, which is the attack that it must stop.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from common import cifar_images

from isvs_jax.models import ResNet, import_resnet, logits_fn, read_state_dict
from isvs_jax.robustness import (
    WAYS,
    Defence,
    attack_defence,
    defended,
    hard_stop,
    pgd,
    rounding_defence,
    total_variation_defence,
)

DEFENCES = {"rounding": rounding_defence, "total variation": total_variation_defence}


def plain_pgd(model: Any, images: np.ndarray, labels: np.ndarray, epsilon: float) -> tuple[float, float]:
    """Accuracy in per cent on clean images and after PGD of 40 steps through the model's own gradient."""
    moved = pgd(model, images, labels, jax.random.key(0), epsilon=epsilon, num_steps=40)
    judge = jax.jit(lambda x: (model(x).argmax(1) == labels).mean())
    return 100 * float(judge(images)), 100 * float(judge(moved))


def referee(network: Any, defence: Defence, images: np.ndarray, labels: np.ndarray, arguments: Any) -> list[str]:
    """Attack in six ways; the accuracy after each in per cent, and the warnings printed."""
    begin = time.perf_counter()

    def progress(way: str, left: int) -> None:
        print(f"    {way}: {left} left, {time.perf_counter() - begin:.0f} s", flush=True)

    result = attack_defence(
        network, defence, images, labels, jax.random.key(1), epsilon=arguments.epsilon / 255, batch_size=len(images),
        num_steps=arguments.steps, num_targets=arguments.targets, progress=progress,
    )  # fmt: skip
    for warning in result.warnings:
        print(f"    warning: {warning}")
    return [f"{100 * result.per_attack[way].mean():.0f}" for way in WAYS]


def stop_rule(network: Any, defence: Defence, images: np.ndarray, labels: np.ndarray, arguments: Any) -> None:
    """The hard stop rule over all ways and over the plain gradient alone, printed."""
    for title, ways in (("all ways", WAYS), ("unrolled alone", WAYS[:1])):
        found = hard_stop(
            network, defence, images, labels, jax.random.key(2), epsilon=arguments.epsilon / 255, num_steps=40,
            batch_size=len(images), ways=ways, attacks=("apgd-ce",), num_queries=200, num_draws=20,
        )  # fmt: skip
        curve = zip(found.curve.epsilons, found.curve.accuracy, strict=True)
        row = ", ".join(f"{100 * accuracy:.0f} at {255 * epsilon:g}/255" for epsilon, accuracy in curve)
        doubling = f"{100 * found.doubling.accuracy:.0f} and {100 * found.doubling.accuracy_doubled:.0f}"
        print(f"    hard stop, {title}: {row}; {doubling} with 40 and 80 steps")
        for warning in found.warnings:
            print(f"      warning: {warning}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="PyTorch state dict of a CIFAR ResNet-20")
    parser.add_argument("--count", type=int, default=50, help="test images")
    parser.add_argument("--stop-count", type=int, default=20, help="test images of the hard stop rule")
    parser.add_argument("--epsilon", type=float, default=8.0, help="L∞ radius in grey levels")
    parser.add_argument("--steps", type=int, default=100, help="steps of APGD")
    parser.add_argument("--targets", type=int, default=3, help="targets of APGD-T")
    arguments = parser.parse_args()
    images, labels = cifar_images(arguments.count)
    images, labels = images.astype(np.float32) / 255, labels.astype(np.int32)
    model = ResNet(depth=20, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    network = logits_fn(model, import_resnet(read_state_dict(arguments.checkpoint), model))
    epsilon = arguments.epsilon / 255

    clean, attacked = plain_pgd(network, images, labels, epsilon)
    rows = [["none", f"{clean:.0f}", f"{attacked:.0f}"] + [""] * len(WAYS)]
    print(f"no defence: clean {clean:.0f}%, PGD {attacked:.0f}%", flush=True)
    for title, make in DEFENCES.items():
        defence = make()
        print(f"{title} ({defence.description}):")
        clean, attacked = plain_pgd(defended(network, defence), images, labels, epsilon)
        print(f"    clean {clean:.0f}%, plain PGD {attacked:.0f}%", flush=True)
        rows.append([title, f"{clean:.0f}", f"{attacked:.0f}", *referee(network, defence, images, labels, arguments)])
        few = arguments.stop_count
        stop_rule(network, defence, jnp.asarray(images[:few]), jnp.asarray(labels[:few]), arguments)
    print(f"\nAccuracy in per cent, {arguments.count} images, L∞, ε = {arguments.epsilon:g}/255")
    print(f"| defence | clean | plain PGD | {' | '.join(WAYS)} |\n|{'---|' * (len(WAYS) + 3)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
