"""Weights trained in PyTorch as variables of Flax residual networks."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax.models.classifier import Variables
from isvs_jax.models.preactivation import PreActResNet18, WideResNet
from isvs_jax.models.pytorch_names import renamed
from isvs_jax.models.residual import ResNet, ResNet18, ResNet50

ResidualNetwork = ResNet | ResNet18 | ResNet50 | WideResNet | PreActResNet18
"""The networks that take weights from PyTorch."""

# Names of Flax's leaves and what PyTorch calls them.
_LEAVES = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}


def read_state_dict(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The arrays of a PyTorch checkpoint by name (needs torch; nothing but arrays is unpickled).

    A checkpoint that holds the state dict under "state_dict" is understood, and the "module." that DataParallel puts
    before every name is taken away.

    Args:
        path: A file that torch.save wrote.

    Returns:
        The state dict, as NumPy arrays.

    Raises:
        FileNotFoundError: There is no such file.
        ModuleNotFoundError: PyTorch is not installed; the message says how to get it.
        ValueError: The file holds no state dict.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"path must be a checkpoint written by torch.save; got {path}, where there is no file.")
    try:
        import torch
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{path} is read by PyTorch, which is not installed: pip install torch (its CPU version will do)",
            name="torch",
        ) from error
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # Unpickling bytes that are something else ends in any of many ways.
        raise ValueError(
            f"path must be a checkpoint of arrays written by torch.save; got {path} ({type(error).__name__})."
        ) from error
    if isinstance(loaded, Mapping) and isinstance(loaded.get("state_dict"), Mapping):
        loaded = loaded["state_dict"]
    if not isinstance(loaded, Mapping) or not loaded or not all(isinstance(v, torch.Tensor) for v in loaded.values()):
        raise ValueError(
            f"path must hold a state dict, from names to tensors; got {path}, which holds {type(loaded).__name__}."
        )
    return {name.removeprefix("module."): tensor.numpy() for name, tensor in loaded.items()}


def import_resnet(state_dict: Mapping[str, np.ndarray], model: ResidualNetwork) -> Variables:
    """The variables of a residual network from a PyTorch state dict of the same architecture.

    Names as in the networks that are in use, for example conv1, bn1, layer1.0.conv1 and linear; a shortcut is
    layer2.0.shortcut.0 in `ResNet18` and block2.layer.0.convShortcut in `WideResNet`; those of `ResNet50` are
    torchvision's. Kernels are turned from [out, in, height, width] to [height, width, in, out]; nothing else is
    changed, so the logits are the same.

    Of the networks on RobustBench's CIFAR boards it takes `WideResNet` (the names of TRADES, as "wrn28_10"), those of
    Gowal et al. ("wrn28_10_silu", "preact_resnet18_silu") and `PreActResNet18`. Names tell the two kinds apart, and
    shapes what else differs in them. They do not tell the activation, "relu" or "silu", whether a shortcut is `shared`,
    nor the normalisation of the input where the state dict does not hold it: these are the model's.

    Args:
        state_dict: Arrays by PyTorch's names, as `read_state_dict` returns them.
        model: The network that they belong to; its shapes are checked.

    Returns:
        {"params": ..., "batch_stats": ...} of float32.

    Raises:
        ValueError: A name is missing or left over, or a shape differs: the first few are listed. Or the border or the
            statistics of the input, where the state dict tells them, are others than the model's.

    Example:
        >>> model = ResNet(depth=8)
        >>> shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
        >>> state_dict = export_names(jax.tree.map(lambda leaf: np.ones(leaf.shape), shapes))
        >>> state_dict["layer2.0.conv1.weight"].shape
        (32, 16, 3, 3)
        >>> import_resnet(state_dict, model)["params"]["layer2_0"]["conv1"]["kernel"].shape
        (3, 3, 16, 32)
    """
    given = renamed(state_dict, model)
    channels = len(model.mean) if len(model.mean) > 1 else _input_channels(given)
    expected = jax.eval_shape(model.init, jax.random.key(0), jax.ShapeDtypeStruct((1, 32, 32, channels), jnp.float32))
    used, problems = set(), []

    def leaf(path: tuple[Any, ...], shape: jax.ShapeDtypeStruct) -> jax.Array:
        name = _pytorch_name(path)
        used.add(name)
        if name not in given:
            problems.append(f"{name} is missing")
            return jnp.zeros(())
        array = _turned(np.asarray(given[name]))
        if array.shape != shape.shape:
            problems.append(f"{name} has shape {given[name].shape}, turned {array.shape}, not {shape.shape}")
        return jnp.asarray(array, jnp.float32)

    variables = jax.tree_util.tree_map_with_path(leaf, expected)
    problems += [f"{name} has no place" for name in sorted(set(given) - used)]
    if problems:
        raise ValueError(
            f"state_dict must be that of {_described(model)}; got one in which {'; '.join(problems[:4])}"
            f"{f' and {len(problems) - 4} more' * (len(problems) > 4)}."
        )
    return variables


def export_names(variables: Variables) -> dict[str, np.ndarray]:
    """The arrays of a network's variables by PyTorch's names and in its layout: the inverse of `import_resnet`."""
    leaves = jax.tree_util.tree_flatten_with_path(variables)[0]
    return {_pytorch_name(path): _turned_back(np.asarray(array)) for path, array in leaves}


def _pytorch_name(path: tuple[Any, ...]) -> str:
    """`params/layer1_0/conv1/kernel` is `layer1.0.conv1.weight`."""
    _, *modules, last = (entry.key for entry in path)
    return ".".join([*(module.replace("_", ".") for module in modules), _LEAVES[last]])


def _described(model: ResidualNetwork) -> str:
    match model:
        case ResNet():
            sort = f"a ResNet of depth {model.depth} with shortcuts without parameters"
        case WideResNet():
            sort = f"a wide ResNet of depth {model.depth} and widening {model.widen}"
        case _:
            sort = f"a {type(model).__name__} of {model.blocks} blocks and width {model.width}"
    return f"{sort} and {model.num_classes} classes"


def _turned(array: np.ndarray) -> np.ndarray:
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array.T


def _turned_back(array: np.ndarray) -> np.ndarray:
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T


def _input_channels(state_dict: Mapping[str, np.ndarray]) -> int:
    kernel = state_dict.get("conv1.weight")
    return 3 if kernel is None or np.ndim(kernel) != 4 else int(kernel.shape[1])
