"""One ResNet-20 judged twice: by PyTorch through `from_torch`, and by Flax with the same weights.

    python benchmarks/pytorch_models.py --checkpoint resnet20-12fca82f.th --out results/pytorch_models

The images are those of `common.cifar_images`, from $ISVS_JAX_DATA. Both tables, their largest difference, the time of
each, and the corruptions of a NumPy model (the nearest mean of a class) are printed. The folders of `--out` keep what
is finished, so that the same command goes on after a stop.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import torch
from common import cifar_images

from isvs_jax import environment
from isvs_jax.models import ResNet, import_resnet, logits_fn, read_state_dict
from isvs_jax.models.layers import IMAGENET_MEAN, IMAGENET_STD
from isvs_jax.robustness import Attacks, Corruptions, Report, adapt, evaluate, from_host, from_torch
from isvs_jax.robustness.evaluation.cells import unpacked

CORRUPTIONS = Corruptions(("gaussian_noise", "defocus_blur", "fog", "contrast", "jpeg_compression"), (1, 3, 5))


class Block(torch.nn.Module):
    """Two convolutions and a shortcut without parameters."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.stride = 1 if before == width else 2
        self.conv1 = torch.nn.Conv2d(before, width, 3, self.stride, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(width)
        self.conv2 = torch.nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(width)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        shortcut = images
        if self.stride == 2:
            extra = images.shape[1] // 2
            shortcut = torch.nn.functional.pad(images[:, :, ::2, ::2], (0, 0, 0, 0, extra, extra))
        hidden = torch.relu(self.bn1(self.conv1(images)))
        return torch.relu(self.bn2(self.conv2(hidden)) + shortcut)


class ResNet20(torch.nn.Module):
    """The CIFAR network of He et al. (2016) in PyTorch, by the names of its published weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = torch.nn.BatchNorm2d(16)
        self.layer1, self.layer2, self.layer3 = (
            torch.nn.Sequential(Block(before, width), Block(width, width), Block(width, width))
            for before, width in ((16, 16), (16, 32), (32, 64))
        )
        self.linear = torch.nn.Linear(64, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.bn1(self.conv1(images)))
        return self.linear(self.layer3(self.layer2(self.layer1(hidden))).mean((2, 3)))


def nearest_mean(images: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """A NumPy model: minus the distance to the mean image of each class."""
    means = np.stack([images[labels == label].mean(0) for label in range(10)]).reshape(10, -1)

    def scores(batch: np.ndarray) -> np.ndarray:
        flat = batch.reshape(len(batch), -1)
        return 2 * flat @ means.T - (means**2).sum(1) - (flat**2).sum(1, keepdims=True)

    return scores


def figures(report: Report) -> Iterator[tuple[str, float]]:
    """Every accuracy of a report in per cent, with its name."""
    yield "clean", 100 * report.clean.accuracy
    for name, row in report.corruptions.items():
        yield from ((f"{name} {severity}", 100 * cell.accuracy) for severity, cell in row.items())
    for entry in report.resolutions:
        words = [f"1/{entry.factor}", entry.down, entry.up, "" if entry.jpeg_quality is None else "JPEG"]
        yield " ".join(words).strip(), 100 * entry.cell.accuracy
    for attack in report.attacks:
        for name, mask in attack.worst.masks.items():
            yield f"{name} within {255 * attack.epsilon:g}/255", 100 * unpacked(mask, attack.worst.count).mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, required=True, help="PyTorch state dict of a CIFAR ResNet-20")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the reports")
    parser.add_argument("--count", type=int, default=500, help="test images")
    parser.add_argument("--attacked", type=int, default=48, help="of them under attack")
    arguments = parser.parse_args()

    images, labels = cifar_images(arguments.count)
    images = images.astype(np.float32) / 255
    state_dict = read_state_dict(arguments.checkpoint)
    module, network = ResNet20().eval(), ResNet(depth=20)
    module.load_state_dict({name: torch.from_numpy(array) for name, array in state_dict.items()})
    models: dict[str, Any] = {
        "from_torch": adapt(from_torch(module), mean=IMAGENET_MEAN, std=IMAGENET_STD),
        "Flax": logits_fn(network, import_resnet(state_dict, network)),
    }
    attacks = Attacks(("apgd-ce", "fab-t", "square"), (1 / 255,), (), arguments.attacked, 10, 100)
    tables: dict[str, dict[str, float]] = {}
    for name, model in models.items():
        begun = time.perf_counter(), time.process_time()
        report = evaluate(
            model, images, labels, jax.random.key(0), name=name, corruptions=CORRUPTIONS, attacks=attacks, checks=None,
            folder=arguments.out / name,
        )  # fmt: skip
        elapsed = time.perf_counter() - begun[0], time.process_time() - begun[1]
        print(f"{name}: {elapsed[0]:.0f} s elapsed, {elapsed[1]:.0f} s of processor time", flush=True)
        tables[name] = dict(figures(report))
    train, train_labels = cifar_images(2500, "train")
    host = from_host(nearest_mean(train.astype(np.float32) / 255, train_labels))
    report = evaluate(
        host, images, labels, jax.random.key(0), name="nearest mean", corruptions=CORRUPTIONS, attacks=None,
        checks=None, folder=arguments.out / "NumPy",
    )  # fmt: skip
    tables["NumPy"] = dict(figures(report))

    print(f"| | {' | '.join(tables)} |\n|---|{'---:|' * len(tables)}")
    for row in tables["Flax"]:
        print(f"| {row} | {' | '.join(f'{table[row]:.1f}' if row in table else '–' for table in tables.values())} |")
    apart = max(abs(tables["from_torch"][row] - tables["Flax"][row]) for row in tables["Flax"])
    few, versions = images[:256], environment.versions()
    logits = [np.asarray(model(few)) for model in models.values()]
    print(f"Largest difference: {apart:.2f} points; of logits: {np.abs(logits[0] - logits[1]).max():.1e}")
    print(f"{arguments.count} images, {arguments.attacked} under attack; torch {torch.__version__}, {versions}")


if __name__ == "__main__":
    main()
