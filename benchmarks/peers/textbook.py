"""The textbook Split LBI, written out once for each library: what a reader of the papers would write.

    u⁺ = u − κα(u − x + Dᵀ(Du − v)/ν),   z⁺ = z + α(Du − v)/ν,   v = κ·shrink(z),   z = 0, u = argmin E(·, 0) at first

Jacobi order, channels coupled (the penalty "color"), equal steps. Independent of isvs_jax, whose own version is
`SplitLBI(scheme="explicit")`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

if TYPE_CHECKING:
    import torch

KAPPA, NU = 5.0, 0.1


def fewest_steps(time: float, kappa: float = KAPPA, nu: float = NU) -> int:
    """The fewest equal steps to a time that are stable whatever the image: α < 2ν/(κ(1 + ν + 8))."""
    return math.floor(time * kappa * (9 + nu) / (2 * nu)) + 1


def start(image: np.ndarray, nu: float = NU) -> np.ndarray:
    """u(0) = (I + DᵀD/ν)⁻¹x by SciPy's cosine transform; image [..., H, W, C]."""
    from scipy import fft

    height, width = image.shape[-3:-1]
    rows, columns = (2 - 2 * np.cos(np.pi * np.arange(size) / size) for size in (height, width))
    energies = (1 + (rows[:, None] + columns[None, :]) / nu)[..., None].astype(image.dtype)
    return fft.idctn(fft.dctn(image, axes=(-3, -2), norm="ortho") / energies, axes=(-3, -2), norm="ortho")


def with_numpy(image: np.ndarray, time: float, num_steps: int, kappa: float = KAPPA, nu: float = NU) -> np.ndarray:
    """One image [H, W, C] in NumPy."""
    alpha, u = image.dtype.type(time / num_steps), start(image, nu)
    zh, zv = np.zeros_like(image[:, 1:]), np.zeros_like(image[1:])

    def shrink(z: np.ndarray) -> np.ndarray:
        return z * (1 - 1 / np.maximum(np.sqrt((z * z).sum(-1, keepdims=True)), 1))

    for _ in range(num_steps):
        gh = (u[:, 1:] - u[:, :-1] - kappa * shrink(zh)) / nu
        gv = (u[1:] - u[:-1] - kappa * shrink(zv)) / nu
        descent = u - image
        descent[:, 1:] += gh
        descent[:, :-1] -= gh
        descent[1:] += gv
        descent[:-1] -= gv
        u = u - kappa * alpha * descent
        zh = zh + alpha * gh
        zv = zv + alpha * gv
    return u


@partial(jax.jit, static_argnames="num_steps")
def with_jax(
    images: jax.Array, start: jax.Array, time: float, num_steps: int, kappa: float = KAPPA, nu: float = NU
) -> jax.Array:
    """A batch [B, H, W, C] in JAX, a `lax.scan`; `start` is u(0)."""
    alpha = time / num_steps

    def shrink(z: jax.Array) -> jax.Array:
        return z * (1 - 1 / jnp.maximum(jnp.sqrt((z * z).sum(-1, keepdims=True)), 1))

    def pad(edges: jax.Array, axis: int, widths: tuple[int, int]) -> jax.Array:
        return jnp.pad(edges, [widths if k == axis else (0, 0) for k in range(4)])

    def step(carry: tuple[jax.Array, jax.Array, jax.Array], _: None) -> tuple:
        u, zh, zv = carry
        gh = (u[:, :, 1:] - u[:, :, :-1] - kappa * shrink(zh)) / nu
        gv = (u[:, 1:] - u[:, :-1] - kappa * shrink(zv)) / nu
        adjoint = pad(gh, 2, (1, 0)) - pad(gh, 2, (0, 1)) + pad(gv, 1, (1, 0)) - pad(gv, 1, (0, 1))
        return (u - kappa * alpha * (u - images + adjoint), zh + alpha * gh, zv + alpha * gv), None

    zero = jnp.zeros_like(images[:, :, 1:]), jnp.zeros_like(images[:, 1:])
    return jax.lax.scan(step, (start, *zero), None, length=num_steps)[0][0]


def torch_step(
    state: tuple[torch.Tensor, torch.Tensor, torch.Tensor], images: torch.Tensor, alpha: float, kappa: float, nu: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One step of a batch [B, C, H, W] in PyTorch, to be run as it is or compiled."""
    from torch.nn.functional import pad

    u, zh, zv = state
    gh = (u[..., 1:] - u[..., :-1] - kappa * _torch_shrink(zh)) / nu
    gv = (u[..., 1:, :] - u[..., :-1, :] - kappa * _torch_shrink(zv)) / nu
    adjoint = pad(gh, (1, 0)) - pad(gh, (0, 1)) + pad(gv, (0, 0, 1, 0)) - pad(gv, (0, 0, 0, 1))
    return u - kappa * alpha * (u - images + adjoint), zh + alpha * gh, zv + alpha * gv


def _torch_shrink(z: torch.Tensor) -> torch.Tensor:
    return z * (1 - 1 / (z * z).sum(1, keepdim=True).sqrt().clamp(min=1))


def with_torch(
    images: np.ndarray,
    time: float,
    num_steps: int,
    step: Callable = torch_step,
    kappa: float = KAPPA,
    nu: float = NU,
    *,
    taken: int | None = None,
) -> np.ndarray:
    """A batch [B, H, W, C] in PyTorch; `step` may be compiled, `taken` stops after that many of the steps."""
    import torch

    planar, u = (torch.from_numpy(np.moveaxis(array, -1, 1).copy()) for array in (images, start(images, nu)))
    state = u, torch.zeros_like(planar[..., 1:]), torch.zeros_like(planar[..., 1:, :])
    with torch.no_grad():
        for _ in range(num_steps if taken is None else taken):
            state = step(state, planar, time / num_steps, kappa, nu)
    return np.moveaxis(state[0].numpy(), 1, -1)
