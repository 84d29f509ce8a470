"""Arithmetic with trained weights: what a training added, added to another network, and all that lies between two.

All functions are pure and take variables, {"params": ..., "batch_stats": ...}, of one architecture.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from isvs_jax._checks import check_number
from isvs_jax.models import Variables

Params = Mapping[str, Any]


class Signature(NamedTuple):
    """What a training added to the weights that it started from.

    Attributes:
        direction: A pytree like the parameters.
        norm: Its Euclidean norm.
        removed: The share of ‖θ_trained − θ_start‖² that lay along the training on raw images, 0 to 1.
    """

    direction: Params
    norm: float
    removed: float


def signature(start: Variables, trained: Variables, raw: Variables | None = None) -> Signature:
    """What a training added that the training on raw images did not: v = Δ − ⟨Δ, d⟩/⟨d, d⟩ d.

    Δ = θ_trained − θ_start and d = θ_raw − θ_start, over all parameters as one vector. All three start from the same
    weights; of networks that do not, the difference is no direction.

    Args:
        start: The weights that the trainings started from.
        trained: Those after the training.
        raw: Those after the same training on raw images; None leaves the projection out.

    Raises:
        ValueError: They are not of one architecture.

    Example:
        >>> def weights(*values):
        ...     return {"params": {"w": jnp.array(values)}}
        >>> found = signature(weights(0.0, 0.0), weights(3.0, 4.0), weights(2.0, 0.0))
        >>> found.direction["w"].tolist(), found.norm, round(found.removed, 2)
        ([0.0, 4.0], 4.0, 0.36)

    References:
        Cai, Wang, Wang, "Robust weight signatures: gaining robustness as easy as patching weights?", ICML 2023.
    """
    _check_alike("trained", trained, start)
    moved = _difference(trained["params"], start["params"])
    whole = _inner(moved, moved)
    if raw is not None:
        _check_alike("raw", raw, start)
        along = _difference(raw["params"], start["params"])
        length = _inner(along, along)
        share = _inner(moved, along) / length if length else 0.0
        moved = jax.tree.map(lambda v, d: v - share * d, moved, along)
    left = _inner(moved, moved)
    return Signature(moved, float(np.sqrt(left)), 1 - left / whole if whole else 0.0)


def patched(
    variables: Variables,
    direction: Params,
    scale: float = 1.0,
    *,
    layers: Collection[str] | None = None,
    normalisation: Variables | None = None,
) -> Variables:
    """Add a direction to weights, θ + scale · v.

    Args:
        variables: The weights θ.
        direction: v, as of `signature`.
        scale: How much of it; a signature times scale, and not times its square.
        layers: Names of modules, such as "conv1" and "layer1_0", whose weights alone are patched; None for all.
        normalisation: Variables whose numbers of batch norm, scales, shifts and running statistics, take the place of
            those of the modules that are patched: those of the network that the direction is of.

    Raises:
        TypeError: `scale` is no number.
        ValueError: The trees differ, or there is no module of a name.

    Example:
        >>> variables = {"params": {"a": {"w": jnp.ones(2)}, "b": {"w": jnp.ones(2)}}}
        >>> one = jax.tree.map(jnp.ones_like, variables["params"])
        >>> patched(variables, one, 0.5, layers=["a"])["params"]["a"]["w"].tolist()
        [1.5, 1.5]
    """
    scale = check_number("scale", scale, "[-1e6, 1e6]")
    _check_alike("direction", {"params": direction}, {"params": variables["params"]})
    names = set(variables["params"]) if layers is None else set(layers)
    unknown = sorted(names - set(variables["params"]))
    if unknown:
        raise ValueError(f"layers must be names of {', '.join(variables['params'])}; got {', '.join(unknown)}.")
    params = {
        name: jax.tree.map(lambda w, v: w + scale * v, module, direction[name]) if name in names else module
        for name, module in variables["params"].items()
    }
    found = {**variables, "params": params}
    if normalisation is None:
        return found
    _check_alike("normalisation", normalisation, variables)
    return _renormalised(found, normalisation, names)


def interpolated(first: Variables, second: Variables, share: float) -> Variables:
    """Weights on the line between two, (1 − share) · first + share · second, running statistics too.

    Args:
        first: The weights for share 0.
        second: The weights for share 1, of a training that started from the first or where that one started.
        share: Where on the line, in [0, 1].

    Raises:
        TypeError: `share` is no number.
        ValueError: The trees differ, or the share is out of range.

    Example:
        >>> interpolated({"params": {"w": jnp.zeros(1)}}, {"params": {"w": jnp.ones(1)}}, 0.3)["params"]["w"].tolist()
        [0.30000001192092896]

    References:
        Zhu, Hu, Wang, Zhou, Feng, Wang, "Improving generalization of adversarial training via robust critical
        fine-tuning", ICCV 2023.
    """
    share = check_number("share", share, "[0, 1]")
    _check_alike("second", second, first)
    return jax.tree.map(lambda a, b: (1 - share) * a + share * b, first, second)


def cosines(signatures: Mapping[str, Signature]) -> np.ndarray:
    """The cosine of the angle between every two signatures, float64 [S, S]; NaN where one has no length.

    Raises:
        ValueError: They are not of one architecture, or there is none.

    Example:
        >>> one, other = (Signature({"w": jnp.array(values)}, 0.0, 0.0) for values in ([1.0, 0.0], [1.0, 1.0]))
        >>> cosines({"one": one, "other": other}).round(3).tolist()
        [[1.0, 0.707], [0.707, 1.0]]
    """
    if not signatures:
        raise ValueError("signatures must be one or more; got none.")
    directions = [entry.direction for entry in signatures.values()]
    for name, direction in zip(signatures, directions, strict=True):
        _check_alike(f"signatures[{name!r}]", {"params": direction}, {"params": directions[0]})
    products = np.array([[_inner(one, other) for other in directions] for one in directions])
    lengths = np.sqrt(np.diag(products))
    with np.errstate(invalid="ignore"):
        return products / np.outer(lengths, lengths)


def _renormalised(variables: Variables, source: Variables, names: set[str]) -> Variables:
    """Take the modules with running statistics, of the named ones, from another network."""

    def taken(module: Mapping[str, Any], statistics: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
        # A module whose statistics are arrays is the batch norm itself.
        if any(isinstance(value, jax.Array | np.ndarray) for value in statistics.values()):
            return other
        return {
            name: taken(part, statistics[name], other[name]) if name in statistics else part
            for name, part in module.items()
        }

    statistics = source.get("batch_stats", {})
    params, source_params = variables["params"], source["params"]
    changed = {
        name: taken(module, statistics[name], source_params[name]) if name in names and name in statistics else module
        for name, module in params.items()
    }
    kept = {
        name: source["batch_stats"][name] if name in names else values
        for name, values in variables.get("batch_stats", {}).items()
    }
    return {**variables, "params": changed, "batch_stats": kept}


def _difference(trained: Params, start: Params) -> Params:
    return jax.tree.map(lambda a, b: jnp.asarray(a) - b, trained, start)


def _inner(first: Params, second: Params) -> float:
    """⟨first, second⟩ in float64: the sum of a million products."""
    products = jax.tree.map(lambda a, b: np.vdot(np.asarray(a, np.float64), np.asarray(b, np.float64)), first, second)
    return float(sum(jax.tree.leaves(products)))


def _check_alike(name: str, given: Any, like: Any) -> None:
    here, there = (
        {jax.tree_util.keystr(path): jnp.shape(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
        for tree in (given, like)
    )
    if here != there:
        place = sorted(dict(here.items() ^ there.items()))[0]
        raise ValueError(
            f"{name} must be of the same architecture, in which {place} has shape {there.get(place, 'none')}; "
            f"got shape {here.get(place, 'none')}."
        )
