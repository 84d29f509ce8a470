"""The names of weights in state dicts of PyTorch, brought to those of the networks here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import flax.linen as nn
import numpy as np

from isvs_jax._checks import brief_numbers
from isvs_jax.models.preactivation import PreActResNet18, WideResNet

# What DataParallel, Lightning and torch.compile put before every name.
_PREFIXES = ("module.", "model.", "_orig_mod.")

# Names of the networks of Gowal et al. (2020), in turn.
_PARTS = (
    (r"\bbatchnorm_0\b", "bn1"),
    (r"\bbatchnorm_1\b", "bn2"),
    (r"\bconv_0\b|\bconv_2d_1\b", "conv1"),
    (r"\bconv_1\b|\bconv_2d_2\b", "conv2"),
    (r"^init_conv\b|^conv_2d\b", "conv1"),
)
_WIDE = (
    (r"^layer\.(\d+)\.block\.(\d+)\.", lambda found: f"block{int(found[1]) + 1}.layer.{found[2]}."),
    (r"\.shortcut\.", ".convShortcut."),
    (r"^batchnorm\.", "bn1."),
    (r"^logits\.", "fc."),
)
_PRE = (
    (r"^layer_(\d+)\.", lambda found: f"layer{int(found[1]) + 1}."),
    (r"\.shortcut\.", ".shortcut.0."),
    (r"^batchnorm\.", "bn."),
    (r"^logits\.", "linear."),
)

_STATISTICS = {"mean": "mean", "mu": "mean", "std": "std", "sigma": "std"}


def renamed(state_dict: Mapping[str, np.ndarray], model: nn.Module) -> dict[str, np.ndarray]:
    """The weights of a state dict by the names of `export_names`, without what no logit depends on.

    Taken away are prefixes of all weights, such as "module.", counters of batches, and the block "sub_block1" that
    TRADES's WideResNet has and does not use. The names of Gowal et al. are brought to those of the network. Statistics
    of the input that the state dict holds must be those of the model.

    Raises:
        ValueError: The statistics of the input or the border are others than the model's.

    Example:
        >>> sorted(renamed({"model.init_conv.weight": 0, "model.logits.bias": 1}, WideResNet(border="end")))
        ['conv1.weight', 'fc.bias']
    """
    given = {name: array for name, array in state_dict.items() if not name.endswith("num_batches_tracked")}
    given = _without_prefix(given)
    given = _without_statistics(given, model)
    if isinstance(model, WideResNet):
        given = {name: array for name, array in given.items() if not name.startswith("sub_block1.")}
    if isinstance(model, WideResNet | PreActResNet18):
        of_gowal = any(re.match(r"init_conv\.|conv_2d\.", name) for name in given)
        border = "end" if of_gowal else "centred"
        if model.border != border:
            raise ValueError(
                f"model.border must be {border!r} for a state dict with names such as {next(iter(given))}; got "
                f"{model.border!r}. Write model.clone(border={border!r})."
            )
        if of_gowal:
            rules = (*_PARTS, *(_WIDE if isinstance(model, WideResNet) else _PRE))
            given = {_by_rules(name, rules): array for name, array in given.items()}
    return given


def _without_prefix(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The names without what stands before every one of the weights."""
    while given and (prefix := _common(given)):
        given = {name.removeprefix(prefix): array for name, array in given.items()}
    return given


def _common(names: Iterable[str]) -> str:
    # Statistics of the input may be kept outside of the network that the prefix names.
    weights = [name for name in names if name.rpartition(".")[2] not in _STATISTICS]
    return next((p for p in _PREFIXES if weights and all(name.startswith(p) for name in weights)), "")


def _without_statistics(given: dict[str, np.ndarray], model: nn.Module) -> dict[str, np.ndarray]:
    """The weights alone, once the mean and the standard deviation of the input are seen to be the model's."""
    weights = {}
    for name, array in given.items():
        kind = _STATISTICS.get(name.rpartition(".")[2])
        if kind is None:
            weights[name] = array
            continue
        here, there = np.atleast_1d(getattr(model, kind)), np.ravel(array)
        if there.size not in (1, here.size) or not np.allclose(here, there, rtol=0, atol=1e-4):
            raise ValueError(
                f"model.{kind} must be that of the state dict, {name} = {brief_numbers(there)}; got {tuple(here)}. "
                f"Write model.clone({kind}=...)."
            )
    return weights


def _by_rules(name: str, rules: Iterable[tuple]) -> str:
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name
