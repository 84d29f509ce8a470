"""Weights that training starts from."""

from pathlib import Path

import flax.linen as nn
import jax

from isvs_jax.models import Variables, import_resnet, init, read_state_dict
from isvs_jax.models.pytorch import ResidualNetwork
from isvs_jax.training.trained import load_variables


def starting_weights(path: str | Path, model: nn.Module, image_shape: tuple[int, int, int]) -> Variables:
    """The parameters and batch statistics of a network from what was trained before.

    Args:
        path: A PyTorch state dict (for residual networks), or the folder of a run.
        model: The network that they belong to.
        image_shape: [H, W, C].

    Returns:
        {"params": ..., "batch_stats": ...} as of `isvs_jax.models.init`.

    Raises:
        FileNotFoundError: There is neither such a file nor such a folder, or the folder holds no run.
        ModuleNotFoundError: A file is read by PyTorch, which is not installed.
        ValueError: They are of another network, which is described.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"weights is {str(path)!r}; there is neither such a file nor such a folder.")
    if not Path(path).is_dir():
        if not isinstance(model, ResidualNetwork):
            raise ValueError(
                f"weights is {str(path)!r}, but a {type(model).__name__} takes none from PyTorch; it may be the folder "
                "of a run."
            )
        return import_resnet(read_state_dict(path), model)
    found = load_variables(path)
    wanted = jax.eval_shape(lambda: init(model, jax.random.key(0), image_shape))
    shapes = (_shapes(wanted), _shapes(found))
    if shapes[0] != shapes[1]:
        apart = sorted(dict(shapes[0].items() ^ shapes[1].items()))
        name = apart[0]
        raise ValueError(
            f"weights is {str(path)!r}, which holds another network: {name} has shape {shapes[1].get(name, 'none')} "
            f"there, {shapes[0].get(name, 'none')} here; {len(apart)} differ."
        )
    # Not on one device: several processes place them on theirs.
    return jax.device_get(found)


def _shapes(variables: Variables) -> dict[str, tuple[int, ...]]:
    return {jax.tree_util.keystr(path): leaf.shape for path, leaf in jax.tree_util.tree_leaves_with_path(variables)}
