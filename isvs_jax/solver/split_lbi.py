"""`SplitLBI`, the public face of the solver: the flow, how it is integrated, and a state to drive by hand."""

import dataclasses
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from isvs_jax._checks import ArrayLike, brief, check_choice, check_number, check_positive
from isvs_jax._images import as_image
from isvs_jax.solver.edges import Edges
from isvs_jax.solver.euler import SCHEMES, Scheme, euler_step, stability_bound
from isvs_jax.solver.flow import Flow, FlowState, cast, to_planar
from isvs_jax.solver.plan import tolerance_share
from isvs_jax.solver.shrinkage import PENALTIES, Penalty, support

# What a solver holds besides numbers: the choices and the tolerance.
Static = tuple[Penalty, Scheme, float | None, bool | None, bool | None]

# The default Euler step as a share of the stability bound.
_SHARE = {"spectral": 0.95, "explicit": 0.5}


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
            number in (0, 1). None stands for 0.003. It is no bound but a calibration: the mean of natural images at
            t = 4, kappa = 5, nu = 0.1 (docs/performance.md).
        on_chip: Whether stabilised steps run as one GPU program an image; static. False: never. The default, since the
            program was compiled for GPUs and interpreted, but not yet run on one. None: on an NVIDIA GPU, for images of
            up to 64 × 64 pixels and 4 channels in float32, where no derivative is taken (docs/performance.md). True:
            wherever no derivative is taken, by an interpreter where there is no such GPU, which is slow.
        tiles: Whether stabilised steps follow a large image tile by tile, each with a border of its neighbours, which
            differs from the image in one piece by about a third of the tolerance; static. None: on a CPU, where it is
            faster: for images of half a million pixels and more, unless nu is small. True: on every platform, for
            images of more than 256 pixels a side. False: never.

    Raises:
        TypeError: A number is no number, or `on_chip` or `tiles` is no bool.
        ValueError: A number is not positive and finite, a choice is unknown, or `tolerance`, `on_chip=True` or
            `tiles=True` comes with "explicit" or with a step size, which take other steps.

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
    tiles: bool | None = None

    def __post_init__(self) -> None:
        check_choice("penalty", self.penalty, PENALTIES)
        check_choice("scheme", self.scheme, SCHEMES)
        self.check_numbers()
        if self.tolerance is not None:
            check_number("tolerance", self.tolerance, "(0, 1)")
            self._check_stabilised("tolerance", "None")
        for name in ("on_chip", "tiles"):
            choice = getattr(self, name)
            if choice is not None and not isinstance(choice, bool):
                raise TypeError(f"{name} must be None, True or False; got {brief(choice)}.")
            if choice:
                self._check_stabilised(name, "None or False")

    def _check_stabilised(self, name: str, otherwise: str) -> None:
        if self.scheme == "explicit" or self.step_size is not None:
            raise ValueError(
                f"{name} must be {otherwise} where Euler steps are taken; got {getattr(self, name)!r} with "
                f"scheme={self.scheme!r} and step_size={self.step_size!r}."
            )

    def check_numbers(self) -> None:
        """Raise unless kappa, nu and step_size are positive finite numbers, as far as they can be seen."""
        check_positive("kappa", self.kappa)
        check_positive("nu", self.nu)
        if self.step_size is not None:
            check_positive("step_size", self.step_size)

    def tree_flatten(self) -> tuple[tuple[ArrayLike, ...], Static]:
        """The numbers as children, the choices and the tolerance as static data."""
        return (self.kappa, self.nu, self.step_size), (
            self.penalty,
            self.scheme,
            self.tolerance,
            self.on_chip,
            self.tiles,
        )

    @classmethod
    def tree_unflatten(cls, static: Static, children: Sequence[ArrayLike]) -> "SplitLBI":
        """Unchecked: a tree may carry gradients, tangents or axis numbers in place of the numbers."""
        solver = object.__new__(cls)
        names = ("kappa", "nu", "step_size", "penalty", "scheme", "tolerance", "on_chip", "tiles")
        for name, value in zip(names, (*children, *static), strict=True):
            object.__setattr__(solver, name, value)
        return solver

    @property
    def flow(self) -> Flow:
        """The flow alone: κ, ν and the penalty."""
        return Flow(self.kappa, self.nu, self.penalty)

    @property
    def stability_bound(self) -> ArrayLike:
        """The step size beyond which the scheme does not converge."""
        return stability_bound(self.flow, self.scheme)

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
            image: x, float [..., H, W, C] in [0, 1], as in `smooth`.

        Returns:
            The `FlowState`.

        Raises:
            TypeError: `image` is not of a floating dtype.
            ValueError: `image` is not [..., H, W, C] with at least one pixel, or a value is far from [0, 1].
        """
        return self.flow.start(to_planar(as_image(image)))

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
                f"image must be the image that state belongs to (planar {state.u.shape}); got shape {jnp.shape(image)}."
            )
        alpha = cast(self.default_step_size if step_size is None else step_size, planar)
        return euler_step(self.flow, self.scheme, planar, state, alpha)

    def dense(self, state: FlowState) -> jax.Array:
        """The dense image u(t) of a state, [..., H, W, C], in the dtype of the computation."""
        return jnp.moveaxis(state.u, -3, -1)

    def support(self, state: FlowState) -> Edges:
        """The support {|z| > 1} of a state: bool edges, channel axis 1 where the penalty couples channels."""
        return Edges(*(jnp.moveaxis(edge, -3, -1) for edge in support(state.z, self.penalty)))
