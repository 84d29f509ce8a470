"""The Split Linearized Bregman flow on the edges of an image: `SplitLBI`, its state, its steps.

    E(u, v) = ½‖u − x‖² + (1/2ν)‖Du − v‖²,   v = κ·shrink(z)
    ż = (Du − v)/ν,   z(0) = 0,   u = argmin E(·, v)

Images come as [..., H, W, C]; the state is planar, [..., C, H, W], the order in which the steps are fastest.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp

from isvs_jax._checks import ArrayLike, as_image, check_choice, check_positive, compute_dtype, concrete
from isvs_jax.solver import cosine
from isvs_jax.solver.edges import Edges, forward_differences, forward_differences_adjoint
from isvs_jax.solver.shrinkage import PENALTIES, Penalty, shrink, support

Scheme = Literal["spectral", "explicit"]
SCHEMES: tuple[str, ...] = get_args(Scheme)

# ‖D‖² ≤ 8 on a grid of four neighbours.
_SQUARED_NORM_OF_D = 8.0
# What no tolerance stands for.
DEFAULT_TOLERANCE = 0.003
# The default Euler step as a share of the stability bound.
_SHARE = {"spectral": 0.95, "explicit": 0.5}


class FlowState(NamedTuple):
    """Where the flow stands. A pytree of arrays, to be carried through `lax.scan`.

    Attributes:
        time: t, a scalar or one per image (shape [...]).
        u: The dense image, planar [..., C, H, W], float32 or float64.
        z: The dual variable, planar edges [..., C, H, W-1] and [..., C, H-1, W].
    """

    time: jax.Array
    u: jax.Array
    z: Edges


@jax.tree_util.register_pytree_node_class
@dataclasses.dataclass(frozen=True)
class SplitLBI:
    """The inverse scale space flow and how it is integrated; an immutable pytree.

    `kappa`, `nu` and `step_size` are leaves and may be traced, mapped and differentiated; `penalty` and `scheme` are
    static. Two schemes integrate the one flow: "spectral" solves u exactly at every step and is stable for step sizes
    below 2ν/κ; "explicit" is the textbook iteration, in which u descends too, stable below 2ν/(κ(1 + ν + 8)).

    Attributes:
        kappa: κ > 0, the damping: support variables relax at the rate κ/ν.
        nu: ν > 0, the coupling of differences and v. Small ν: large scales first; large ν: contrast alone decides.
        penalty: What enters together: "anisotropic" one edge of one channel, "color" one edge across channels,
            "isotropic" the two forward edges of a pixel across channels.
        scheme: "spectral" or "explicit".
        step_size: α > 0 in units of time: Euler steps of that size. None takes stabilised steps of several solves
            ("spectral"), or Euler steps of half the stability bound ("explicit").
        tolerance: Relative error of u wanted, over the energy of x − mean, where stabilised steps are taken; a static
            number. None stands for 0.003. It is no bound but a calibration: the mean of natural images at t = 4,
            kappa = 5, nu = 0.1 (docs/performance.md).
        on_chip: Whether stabilised steps run as one GPU program an image; static. False: never. The default, since the
            program was compiled for GPUs and interpreted, but not yet run on one. None: on an NVIDIA GPU, for images of
            up to 64 × 64 pixels and 4 channels in float32, where no derivative is taken (docs/performance.md). True:
            wherever no derivative is taken, by an interpreter where there is no such GPU, which is slow.

    Raises:
        TypeError: A number is no number, `on_chip` is no bool.
        ValueError: A number is not positive and finite, a choice is unknown, or `tolerance` or `on_chip=True`
            comes with "explicit" or with a step size, which take other steps.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> image = jax.random.uniform(jax.random.key(0), (8, 8, 3))
        >>> solver = SplitLBI(nu=0.1)
        >>> state = solver.init(image)
        >>> state = solver.step(image, state)
        >>> solver.dense(state).shape
        (8, 8, 3)

    References:
        Huang, Sun, Xiong, Yao, "Split LBI: an iterative regularization path with structural sparsity", NeurIPS 2016.
        Zhou, Liu, Xu, Fu, Sun, "Robust network learning via inverse scale variational sparsification",
        arXiv 2409.18419.
    """

    kappa: ArrayLike = 5.0
    nu: ArrayLike = 0.1
    penalty: Penalty = "color"
    scheme: Scheme = "spectral"
    step_size: ArrayLike | None = None
    tolerance: float | None = None
    on_chip: bool | None = False

    def __post_init__(self) -> None:
        check_choice("penalty", self.penalty, PENALTIES)
        check_choice("scheme", self.scheme, SCHEMES)
        self.check_numbers()
        if self.tolerance is not None:
            self._check_tolerance(self.tolerance)
        if self.on_chip is not None and self.on_chip is not False:
            self._check_on_chip(self.on_chip)

    def _check_tolerance(self, tolerance: object) -> None:
        if isinstance(tolerance, bool) or not isinstance(tolerance, (int, float)):
            raise TypeError(f"tolerance is {tolerance!r}; it may be None or a Python number in (0, 1).")
        if not 0 < tolerance < 1:
            raise ValueError(f"tolerance is {tolerance!r}; it may be None or a Python number in (0, 1).")
        if self.scheme == "explicit" or self.step_size is not None:
            raise ValueError(
                f"tolerance is {tolerance!r} with scheme={self.scheme!r} and step_size={self.step_size!r}; it may be "
                "given with scheme='spectral' and step_size=None only."
            )

    def _check_on_chip(self, on_chip: object) -> None:
        if on_chip is not True:
            raise TypeError(f"on_chip is {on_chip!r}; it may be None, True or False.")
        if self.scheme == "explicit" or self.step_size is not None:
            raise ValueError(
                f"on_chip is True with scheme={self.scheme!r} and step_size={self.step_size!r}; it may be with "
                "scheme='spectral' and step_size=None only."
            )

    def check_numbers(self) -> None:
        """Raise unless kappa, nu and step_size are positive finite numbers, as far as they can be seen."""
        check_positive("kappa", self.kappa)
        check_positive("nu", self.nu)
        if self.step_size is not None:
            check_positive("step_size", self.step_size)

    def tree_flatten(self) -> tuple[tuple[ArrayLike, ...], tuple[Penalty, Scheme, float | None, bool | None]]:
        """The numbers as children, the choices and the tolerance as static data."""
        return (self.kappa, self.nu, self.step_size), (self.penalty, self.scheme, self.tolerance, self.on_chip)

    @classmethod
    def tree_unflatten(
        cls, static: tuple[Penalty, Scheme, float | None, bool | None], children: Sequence[ArrayLike]
    ) -> "SplitLBI":
        """Unchecked: a tree may carry gradients, tangents or axis numbers in place of the numbers."""
        solver = object.__new__(cls)
        names = ("kappa", "nu", "step_size", "penalty", "scheme", "tolerance", "on_chip")
        for name, value in zip(names, (*children, *static), strict=True):
            object.__setattr__(solver, name, value)
        return solver

    @property
    def stability_bound(self) -> ArrayLike:
        """The step size beyond which the scheme does not converge."""
        if self.scheme == "spectral":
            return 2 * self.nu / self.kappa
        return 2 * self.nu / (self.kappa * (1 + self.nu + _SQUARED_NORM_OF_D))

    @property
    def default_step_size(self) -> ArrayLike:
        """The Euler step: `step_size`, or where that is None a fixed share of the stability bound.

        A `tolerance` below 0.003 makes it shorter in proportion.
        """
        if self.step_size is not None:
            return self.step_size
        return _SHARE[self.scheme] * tolerance_share(self.tolerance) * self.stability_bound

    def init(self, image: ArrayLike) -> FlowState:
        """The state at time 0: z = 0, u = (I + DᵀD/ν)⁻¹x.

        Args:
            image: x, float [..., H, W, C], usually in [0, 1].

        Returns:
            The `FlowState`.

        Raises:
            TypeError: `image` is not of a floating dtype.
            ValueError: `image` is not [..., H, W, C] with at least one pixel.
        """
        return planar_init(self, to_planar(as_image(image)))

    def step(self, image: ArrayLike, state: FlowState, step_size: ArrayLike | None = None) -> FlowState:
        """One Euler step of the flow.

        z⁺ = z + α(Du − v)/ν; then u⁺ = (I + DᵀD/ν)⁻¹(x + Dᵀv⁺/ν) ("spectral"), or, in Jacobi order,
        u⁺ = u − κα(u − x + Dᵀ(Du − v)/ν) ("explicit").

        Args:
            image: x, float [..., H, W, C], the image given to `init`.
            state: Where the flow stands.
            step_size: α ≥ 0, a scalar or one per image (shape [...]); None takes `default_step_size`. It is not
                compared with `stability_bound` here.

        Returns:
            The `FlowState` at time + α.

        Raises:
            TypeError: `image` is not of a floating dtype.
            ValueError: `image` is not [..., H, W, C], or not the image of `state`.
        """
        planar = to_planar(as_image(image))
        if planar.shape != state.u.shape:
            raise ValueError(
                f"image has shape {jnp.shape(image)}, which is not the shape of the image that state belongs to "
                f"(planar {state.u.shape})."
            )
        return planar_step(self, planar, state, self.default_step_size if step_size is None else step_size)

    def dense(self, state: FlowState) -> jax.Array:
        """The dense image u(t) of a state, [..., H, W, C], in the dtype of the computation."""
        return jnp.moveaxis(state.u, -3, -1)

    def support(self, state: FlowState) -> Edges:
        """The support {|z| > 1} of a state: bool edges, channel axis 1 where the penalty couples channels."""
        return Edges(*(jnp.moveaxis(edge, -3, -1) for edge in support(state.z, self.penalty)))


def tolerance_share(tolerance: float | None) -> float:
    """The tolerance as a share of what no tolerance stands for, at most 1: how much shorter Euler steps are for it."""
    return 1.0 if tolerance is None else min(1.0, tolerance / DEFAULT_TOLERANCE)


def to_planar(image: jax.Array) -> jax.Array:
    """[..., H, W, C] of any floating dtype to [..., C, H, W] in float32, or float64 where it came so."""
    return jnp.moveaxis(image.astype(compute_dtype(image.dtype)), -1, -3)


def planar_init(solver: SplitLBI, planar: jax.Array) -> FlowState:
    """`SplitLBI.init` for an image that is planar already."""
    zero = jax.tree.map(jnp.zeros_like, _difference(planar))
    # From the image, so that under shard_map the time varies over the mesh as the image does.
    time = jnp.zeros_like(planar[..., 0, 0, 0])
    return FlowState(time, cosine.solve(planar, _cast(solver.nu, planar)), zero)


def planar_step(solver: SplitLBI, planar: jax.Array, state: FlowState, step_size: ArrayLike) -> FlowState:
    """`SplitLBI.step` for an image that is planar already."""
    alpha = _cast(step_size, planar)
    per_image = alpha[..., None, None, None]
    slope = planar_slope(solver, state.u, state.z)
    z = jax.tree.map(lambda edge, rate: edge + per_image * rate, state.z, slope)
    if solver.scheme == "explicit":
        u = state.u - _cast(solver.kappa, planar) * per_image * (state.u - planar + _adjoint(slope))
    else:
        u = planar_dense(solver, planar, z)
    return FlowState(state.time + alpha, u, z)


def planar_slope(solver: SplitLBI, u: jax.Array, z: Edges) -> Edges:
    """ż = (Du − v)/ν, v = κ·shrink(z)."""
    kappa, nu = _cast(solver.kappa, u), _cast(solver.nu, u)
    v = _scale(shrink(z, solver.penalty), kappa)
    return jax.tree.map(lambda du, ve: (du - ve) / nu, _difference(u), v)


def planar_dense(solver: SplitLBI, planar: jax.Array, z: Edges) -> jax.Array:
    """The u of a z: argmin E(·, v) = (I + DᵀD/ν)⁻¹(x + Dᵀv/ν), v = κ·shrink(z)."""
    kappa, nu = _cast(solver.kappa, planar), _cast(solver.nu, planar)
    v = _scale(shrink(z, solver.penalty), kappa / nu)
    return cosine.solve(planar + _adjoint(v), nu)


def check_step_size(solver: SplitLBI, step_size: ArrayLike, name: str) -> None:
    """Raise a ValueError where a step size can be seen to be past the stability bound."""
    seen, bound = concrete(step_size), concrete(solver.stability_bound)
    if seen is not None and bound is not None and (seen > bound * (1 + 1e-6)).any():
        raise ValueError(
            f"{name} gives a step size of {seen.max():.6g}, past the stability bound {float(bound):.6g} of the "
            f"{solver.scheme!r} scheme at kappa={solver.kappa}, nu={solver.nu}; it may be at most that."
        )


def _difference(planar: jax.Array) -> Edges:
    return forward_differences(planar, row_axis=-2, column_axis=-1)


def _adjoint(edges: Edges) -> jax.Array:
    return forward_differences_adjoint(edges, row_axis=-2, column_axis=-1)


def _scale(edges: Edges, factor: jax.Array) -> Edges:
    return Edges(edges.horizontal * factor, edges.vertical * factor)


def _cast(value: ArrayLike, like: jax.Array) -> jax.Array:
    return jnp.asarray(value).astype(like.dtype)
