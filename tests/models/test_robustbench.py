"""Networks of RobustBench's CIFAR boards, against the classes of the robustbench package and classes by hand."""

import functools
from typing import Any

import jax
import numpy as np
import pytest

from isvs_jax.models import PreActResNet18, WideResNet, build, import_resnet, logits_fn
from isvs_jax.models.pytorch import ResidualNetwork, export_names
from isvs_jax.models.pytorch_names import renamed
from tests.models.drawing import drawn

torch = pytest.importorskip("torch", reason="the reference is PyTorch, which no extra installs")
nn, functional = torch.nn, torch.nn.functional
package = pytest.importorskip("benchmarks.robustbench_networks")

_IMAGES = np.random.default_rng(0).random((3, 32, 32, 3), np.float32)


class _Branches(nn.Module):
    """A block written by hand from the description of the networks of Gowal et al., with their names."""

    def __init__(self, before: int, width: int, stride: int, wide: bool):
        super().__init__()
        first, second = ("conv_0", "conv_1") if wide else ("conv_2d_1", "conv_2d_2")
        self.names, self.stride, self.wide = (first, second), stride, wide
        self.batchnorm_0, self.batchnorm_1 = nn.BatchNorm2d(before), nn.BatchNorm2d(width)
        self.add_module(first, nn.Conv2d(before, width, 3, stride, bias=False))
        self.add_module(second, nn.Conv2d(width, width, 3, padding=1, bias=False))
        self.shortcut = None
        if before != width:
            self.shortcut = nn.Conv2d(before, width, 1 if wide else 3, stride, bias=False)

    def widened(self, hidden: Any) -> Any:
        return functional.pad(hidden, (0, 1, 0, 1) if self.stride == 2 else (1, 1, 1, 1))

    def forward(self, inputs: Any) -> Any:
        activated, shortcut = functional.silu(self.batchnorm_0(inputs)), inputs
        if self.shortcut is not None:
            shortcut = self.shortcut(activated if self.wide else self.widened(inputs))
        first, second = (getattr(self, name) for name in self.names)
        return shortcut + second(functional.silu(self.batchnorm_1(first(self.widened(activated)))))


class _Group(nn.Module):
    def __init__(self, *blocks: nn.Module):
        super().__init__()
        self.block = nn.Sequential(*blocks)

    def forward(self, hidden: Any) -> Any:
        return self.block(hidden)


class _WideByHand(nn.Module):
    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]):
        super().__init__()
        self.mean, self.std = (torch.tensor(values).reshape(-1, 1, 1) for values in (mean, std))
        self.init_conv = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        block = functools.partial(_Branches, wide=True)
        self.layer = nn.Sequential(
            _Group(block(16, 32, 1), block(32, 32, 1)),
            _Group(block(32, 64, 2), block(64, 64, 1)),
            _Group(block(64, 128, 2), block(128, 128, 1)),
        )
        self.batchnorm, self.logits = nn.BatchNorm2d(128), nn.Linear(128, 5)

    def forward(self, images: Any) -> Any:
        hidden = self.layer(self.init_conv((images - self.mean) / self.std))
        return self.logits(functional.silu(self.batchnorm(hidden)).mean((2, 3)))


class _PreActByHand(nn.Module):
    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]):
        super().__init__()
        self.mean, self.std = (torch.tensor(values).reshape(-1, 1, 1) for values in (mean, std))
        self.conv_2d = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        block = functools.partial(_Branches, wide=False)
        self.layer_0 = nn.Sequential(block(4, 4, 1))
        self.layer_1 = nn.Sequential(block(4, 8, 2), block(8, 8, 1))
        self.batchnorm, self.logits = nn.BatchNorm2d(8), nn.Linear(8, 5)

    def forward(self, images: Any) -> Any:
        hidden = self.layer_1(self.layer_0(self.conv_2d((images - self.mean) / self.std)))
        return self.logits(functional.silu(self.batchnorm(hidden)).mean((2, 3)))


def compare(module: Any, model: ResidualNetwork, *, normalises: bool) -> None:
    """The logits of a module and of a network with its weights."""
    state_dict = package.randomised(module)
    given = _IMAGES if normalises else (_IMAGES - np.float32(model.mean)) / np.float32(model.std)
    with torch.no_grad():
        wanted = module(torch.from_numpy(given.transpose(0, 3, 1, 2).copy())).numpy()
    found = jax.jit(logits_fn(model, import_resnet(state_dict, model)))(_IMAGES)
    assert np.ptp(wanted, axis=0).max() > 0.1  # the images are told apart
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


_SILU: dict[str, Any] = {"activation": "silu", "border": "end", "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.25, 0.3)}


def test_the_wide_network_by_hand() -> None:
    compare(_WideByHand(_SILU["mean"], _SILU["std"]), WideResNet(16, 2, num_classes=5, **_SILU), normalises=True)


def test_the_preactivation_network_by_hand() -> None:
    model = PreActResNet18(5, (1, 2), 4, final_norm=True, shortcut_size=3, **_SILU)
    compare(_PreActByHand(_SILU["mean"], _SILU["std"]), model, normalises=True)


def _architectures(name: str) -> Any:
    try:
        return package.architectures(name)
    except ModuleNotFoundError:
        pytest.skip("robustbench is not installed; it is the reference of its own networks")


@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_gowal_s_wide_network_of_the_package(activation: str) -> None:
    theirs = _architectures("dm_wide_resnet")
    swish = theirs.Swish if activation == "silu" else nn.ReLU
    model = build("wrn28_10_silu", 7).clone(depth=10, widen=2, activation=activation)
    compare(theirs.DMWideResNet(7, 10, 2, activation_fn=swish), model, normalises=True)


def test_gowal_s_preactivation_network_of_the_package() -> None:
    theirs = _architectures("dm_wide_resnet")
    compare(theirs.DMPreActResNet(7, activation_fn=theirs.Swish), build("preact_resnet18_silu", 7), normalises=True)


@pytest.mark.parametrize("sub_block", [False, True])
def test_trades_s_wide_network_of_the_package(sub_block: bool) -> None:
    module = _architectures("wide_resnet").WideResNet(10, 7, 2, sub_block1=sub_block)
    compare(module, WideResNet(10, 2, num_classes=7), normalises=False)


@pytest.mark.parametrize("late", [False, True])
def test_the_preactivation_network_of_the_package(late: bool) -> None:
    theirs = _architectures("resnet")
    module = theirs.PreActResNet(theirs.PreActBlock, [1, 1, 1, 1], 7, bn_before_fc=late, out_shortcut=late)
    model = build("preact_resnet18", 7).clone(blocks=(1, 1, 1, 1), final_norm=late, shared=late)
    compare(module, model, normalises=False)


def _weights(model: ResidualNetwork) -> dict[str, np.ndarray]:
    return export_names(drawn(model, (8, 8, 3)))


def test_prefixes_and_statistics_of_the_input() -> None:
    model = PreActResNet18(5, (1, 1), 4)
    weights = _weights(model)
    named = {f"module.model.{name}": array for name, array in weights.items()}
    named |= {"mu": np.reshape(model.mean, (1, 3, 1, 1)), "module.normalize.std": np.reshape(model.std, (3, 1, 1))}
    found = renamed(named, model)
    assert found.keys() == weights.keys()
    assert all((found[name] == array).all() for name, array in weights.items())
    with pytest.raises(ValueError, match=r"model.mean must be that of the state dict, mu = .*clone\(mean"):
        renamed(named | {"mu": np.zeros((1, 3, 1, 1))}, model)
    assert renamed({}, model) == {}


def test_what_a_state_dict_is_not_is_said() -> None:
    model = WideResNet(10, 1, num_classes=5)
    silu = model.clone(activation="silu", border="end")
    names = package.randomised(_WideByHand(model.mean, model.std))
    with pytest.raises(ValueError, match=r"model.border must be 'end' for a state dict with names such as init_conv"):
        import_resnet(names, model)
    with pytest.raises(ValueError, match=r"model.border must be 'centred' for a state dict .*"):
        import_resnet(_weights(model), silu)
    with pytest.raises(ValueError, match="state_dict must be that of a wide ResNet of depth 10 and widening 1"):
        import_resnet(names, silu)
    for changed, said in (
        ({"activation": "tanh"}, "activation must be one of 'relu', 'silu'; got 'tanh'"),
        ({"border": "start"}, "border must be one of 'centred', 'end'; got 'start'"),
    ):
        for network in (model, PreActResNet18(5, (1,), 4)):
            with pytest.raises(ValueError, match=said):
                drawn(network.clone(**changed), (8, 8, 3))
    with pytest.raises(ValueError, match="shortcut_size must be 1 or 3; got 2"):
        drawn(PreActResNet18(5, (1,), 4, shortcut_size=2), (8, 8, 3))
