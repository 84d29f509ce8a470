"""Networks of RobustBench at their real size, with random weights, in PyTorch and in Flax: how far logits are apart.

    python benchmarks/robustbench_networks.py --names wrn28_10 wrn34_10 wrn28_10_silu preact_resnet18_silu

It needs PyTorch and the robustbench package (`pip install robustbench --no-deps` will do).
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
import torch

from isvs_jax.models import build, import_resnet, logits_fn
from isvs_jax.models.preactivation import WideResNet


def architectures(name: str) -> Any:
    """A file of the package's architectures, without the rest of it, which needs much that these do not.

    Raises:
        ModuleNotFoundError: The package is not installed.
    """
    package = importlib.util.find_spec("robustbench")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("robustbench must be installed: pip install robustbench --no-deps")
    file = Path(package.submodule_search_locations[0], "model_zoo", "architectures", f"{name}.py")
    specification = importlib.util.spec_from_file_location(f"_robustbench_{name}", file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


def theirs(name: str, model: Any) -> tuple[Any, bool]:
    """The package's network of a name, and whether the normalisation is inside."""
    if not name.endswith("_silu"):
        if isinstance(model, WideResNet):
            return architectures("wide_resnet").WideResNet(model.depth, 10, model.widen), False
        code = architectures("resnet")
        return code.PreActResNet(code.PreActBlock, list(model.blocks)), False
    code = architectures("dm_wide_resnet")
    if isinstance(model, WideResNet):
        return code.DMWideResNet(10, model.depth, model.widen, activation_fn=code.Swish), True
    return code.DMPreActResNet(10, activation_fn=code.Swish), True


def randomised(module: Any) -> dict[str, np.ndarray]:
    """Fill a module with values of which no two are equal, statistics of batches too; its state dict."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if name.endswith("running_var") or (name.endswith("weight") and tensor.ndim == 1):
                tensor.copy_(torch.exp(0.1 * torch.randn_like(tensor)))
            elif tensor.ndim >= 2 and name.endswith("weight"):
                tensor.copy_(torch.randn_like(tensor) * (2 / tensor[0].numel()) ** 0.5)
            elif tensor.is_floating_point() and name.rpartition(".")[2] not in ("mean", "std", "mu", "sigma"):
                tensor.copy_(0.1 * torch.randn_like(tensor))
    return {name: tensor.numpy().copy() for name, tensor in module.eval().state_dict().items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", nargs="+", default=["wrn28_10", "wrn34_10", "wrn28_10_silu"], help="of `MODELS`")
    parser.add_argument("--count", type=int, default=4, help="random images")
    arguments = parser.parse_args()
    images = np.random.default_rng(0).random((arguments.count, 32, 32, 3), np.float32)
    print("| network | parameters | largest logit | largest difference | compiled and run |\n|---|---:|---:|---:|---:|")
    for name in arguments.names:
        model = build(name, 10)
        try:
            module, normalises = theirs(name, model)
        except ModuleNotFoundError as error:
            sys.exit(str(error))
        weights = randomised(module)
        given = images if normalises else (images - np.float32(model.mean)) / np.float32(model.std)
        with torch.no_grad():
            wanted = module(torch.from_numpy(given.transpose(0, 3, 1, 2).copy())).numpy()
        variables = import_resnet(weights, model)
        begun = time.perf_counter()
        found = np.asarray(jax.jit(logits_fn(model, variables))(images))
        size = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
        apart = np.abs(found - wanted).max()
        seconds = time.perf_counter() - begun
        print(f"| {name} | {size:,} | {np.abs(wanted).max():.2f} | {apart:.1e} | {seconds:.0f} s |", flush=True)
    print(f"{arguments.count} images; torch {torch.__version__}, jax {jax.__version__}")


if __name__ == "__main__":
    main()
