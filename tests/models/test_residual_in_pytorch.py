"""ResNet-18, Wide ResNet and ResNet-50 against the same networks in PyTorch, with the same weights."""

from typing import Any

import jax
import numpy as np
import pytest

from isvs_jax.models import ResNet18, ResNet50, Variables, WideResNet
from isvs_jax.models.pytorch import export_names
from tests.models.drawing import drawn

torch = pytest.importorskip("torch", reason="the reference is PyTorch, which no extra installs")
functional = torch.nn.functional


class Reference:
    """Layers in torch.nn.functional, straight from a state dict; running statistics move where `train`."""

    def __init__(self, variables: Variables, train: bool) -> None:
        # Copies: torch moves the statistics in place.
        self.weights = {name: torch.tensor(np.array(array)) for name, array in export_names(variables).items()}
        self.train = train

    def conv(self, hidden: Any, name: str, stride: int = 1) -> Any:
        kernel = self.weights[f"{name}.weight"]
        return functional.conv2d(hidden, kernel, stride=stride, padding=kernel.shape[-1] // 2)

    def norm(self, hidden: Any, name: str) -> Any:
        statistics = [self.weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        before = statistics[1].clone()
        out = functional.batch_norm(hidden, *statistics, training=self.train, momentum=0.1, eps=1e-5)
        if self.train:
            # PyTorch remembers the unbiased variance, Flax the one that it normalises by.
            count = hidden.numel() / hidden.shape[1]
            statistics[1].copy_(0.9 * before + (statistics[1] - 0.9 * before) * (count - 1) / count)
        return out

    def has(self, name: str) -> bool:
        return f"{name}.weight" in self.weights

    def logits(self, hidden: Any, name: str) -> Any:
        return functional.linear(hidden.mean((2, 3)), self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])


def resnet18(net: Reference, hidden: Any, model: ResNet18) -> Any:
    photograph = model.stem == "photograph"
    hidden = torch.relu(net.norm(net.conv(hidden, "conv1", 2 if photograph else 1), "bn1"))
    hidden = functional.max_pool2d(hidden, 3, 2, 1) if photograph else hidden
    for stage, count in enumerate(model.blocks, start=1):
        for number in range(count):
            name, stride = f"layer{stage}.{number}", 2 if stage > 1 and number == 0 else 1
            inner = torch.relu(net.norm(net.conv(hidden, f"{name}.conv1", stride), f"{name}.bn1"))
            inner = net.norm(net.conv(inner, f"{name}.conv2"), f"{name}.bn2")
            if net.has(f"{name}.shortcut.0"):
                hidden = net.norm(net.conv(hidden, f"{name}.shortcut.0", stride), f"{name}.shortcut.1")
            hidden = torch.relu(inner + hidden)
    return net.logits(hidden, "linear")


def wide_resnet(net: Reference, hidden: Any, model: WideResNet) -> Any:
    hidden = net.conv(hidden, "conv1")
    for stage in (1, 2, 3):
        for number in range((model.depth - 4) // 6):
            name, stride = f"block{stage}.layer.{number}", 2 if stage > 1 and number == 0 else 1
            activated = torch.relu(net.norm(hidden, f"{name}.bn1"))
            inner = torch.relu(net.norm(net.conv(activated, f"{name}.conv1", stride), f"{name}.bn2"))
            if net.has(f"{name}.convShortcut"):
                hidden = net.conv(activated, f"{name}.convShortcut", stride)
            hidden = hidden + net.conv(inner, f"{name}.conv2")
    return net.logits(torch.relu(net.norm(hidden, "bn1")), "fc")


def resnet50(net: Reference, hidden: Any, model: ResNet50) -> Any:
    hidden = torch.relu(net.norm(net.conv(hidden, "conv1", 2), "bn1"))
    hidden = functional.max_pool2d(hidden, 3, 2, 1)
    for stage, count in enumerate(model.blocks, start=1):
        for number in range(count):
            name, stride = f"layer{stage}.{number}", 2 if stage > 1 and number == 0 else 1
            inner = torch.relu(net.norm(net.conv(hidden, f"{name}.conv1"), f"{name}.bn1"))
            inner = torch.relu(net.norm(net.conv(inner, f"{name}.conv2", stride), f"{name}.bn2"))
            inner = net.norm(net.conv(inner, f"{name}.conv3"), f"{name}.bn3")
            if net.has(f"{name}.downsample.0"):
                hidden = net.norm(net.conv(hidden, f"{name}.downsample.0", stride), f"{name}.downsample.1")
            hidden = torch.relu(inner + hidden)
    return net.logits(hidden, "fc")


# Blocks with and without a projection, of stride 1 and 2.
CASES = [
    (ResNet18(5, blocks=(1, 2), width=4), resnet18, (9, 12)),
    (ResNet18(5, blocks=(2,), width=4, stem="photograph"), resnet18, (37, 40)),
    (WideResNet(16, 2, num_classes=5), wide_resnet, (8, 9)),
    (ResNet50(5, blocks=(2, 1), width=4), resnet50, (37, 40)),
]


@pytest.mark.parametrize(("model", "reference", "size"), CASES)
def test_logits_and_statistics_equal_pytorch_s(model: Any, reference: Any, size: tuple[int, int]) -> None:
    variables = drawn(model, (*size, 3))
    images = np.random.default_rng(1).random((4, *size, 3), np.float32)
    mean, std = (np.array(values, np.float32) for values in (model.mean, model.std))
    standardised = torch.tensor((images - mean) / std).permute(0, 3, 1, 2)

    @jax.jit
    def both(variables: Variables, images: np.ndarray) -> Any:
        return model.apply(variables, images), model.apply(variables, images, train=True, mutable=["batch_stats"])

    evaluated, (trained, moved) = both(variables, images)
    expected = reference(Reference(variables, train=False), standardised, model).numpy()
    assert np.ptp(expected, axis=0).max() > 0.1  # the images are told apart
    # Float32 sums in another order, over a dozen layers.
    np.testing.assert_allclose(evaluated, expected, rtol=2e-5, atol=2e-5)
    net = Reference(variables, train=True)
    np.testing.assert_allclose(trained, reference(net, standardised, model).numpy(), rtol=1e-4, atol=1e-4)
    for name, array in export_names({"batch_stats": moved["batch_stats"]}).items():
        np.testing.assert_allclose(array, net.weights[name].numpy(), rtol=1e-4, atol=1e-5, err_msg=name)
