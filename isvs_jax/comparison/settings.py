"""The settings of a comparison; a command line with help is generated from them."""

from dataclasses import dataclass

from isvs_jax.robustness import CORRUPTIONS, VALIDATION_CORRUPTIONS
from isvs_jax.training import Augmentation, Inputs, OptimizerConfig, TrainConfig, View
from isvs_jax.training.inputs import Way

DIGITS = "digits"


@dataclass(frozen=True)
class Settings:
    """Train classifiers on raw images and along the inverse scale space path, and test them side by side."""

    data: str = DIGITS
    """"digits" (embedded), "tfds:NAME" such as "tfds:cifar10", or a folder with a folder of images for each class."""
    data_dir: str | None = None
    """Where TFDS keeps its data sets; by default ~/tensorflow_datasets."""
    image_size: int | None = None
    """Height and width; by default 32 for the digits and for images of several sizes, else the images' own."""
    limit_train: int | None = None
    """At most so many training images, drawn at random."""
    limit_test: int | None = None
    """At most so many test images, drawn at random."""
    limit_attack: int = 100
    """At most so many of the test images are attacked."""
    validation: bool = False
    """Put the test images aside and test on a fifth of the training images: for choosing settings."""
    epochs: int | None = None
    """Passes over the training images; by default 25 for the digits, else 20."""
    batch_size: int | None = None
    """Images a step; by default 64 for the digits, else 128."""
    width: int | None = None
    """Channels of the first layer of the network; by default 8 for the digits, else 16."""
    learning_rate: float = 4e-3
    """Peak of the one-cycle schedule of AdamW."""
    weight_decay: float = 1e-2
    """Decoupled weight decay, sparing norms and biases."""
    way: Way = "random"
    """How the second classifier uses the path."""
    views: tuple[str, ...] | None = None
    """Its smoothed images, as OUTPUT:TIME; by default dense:2 dense:4 dense:8 for the digits, and dense:4 dense:8
    sparse:8 for others."""
    raw_share: float = 0.5
    """Share of raw images among its inputs, for the way "random"."""
    noise: float = 0.0
    """Above 0: train both classifiers a second time with Gaussian noise, its standard deviation uniform up to this."""
    test_view: str | None = None
    """The smoothed image that the classifiers trained along the path are tested on besides the raw one; by default
    dense:4 for the digits, else dense:8."""
    kappa: float = 5.0
    """kappa of the flow."""
    nu: float = 0.1
    """nu of the flow: small puts large scales first."""
    corruptions: tuple[str, ...] = (
        "gaussian_noise",
        "shot_noise",
        "impulse_noise",
        "defocus_blur",
        "jpeg_compression",
        "contrast",
        "fog",
    )
    """Corruptions, by their names in ImageNet-C."""
    severities: tuple[int, ...] = (1, 3, 5)
    """Their severities, 1 to 5; the table shows the mean over them."""
    factors: tuple[int, ...] = (2, 4)
    """Low resolution: the images are made so many times smaller and enlarged again."""
    epsilons: tuple[float, ...] | None = None
    """Radii of the L-infinity attack in units of 1/255; by default 4 8 16 for the digits, else 1 2 4."""
    attack_steps: int = 20
    """Steps of the attack."""
    seed: int = 0
    """Of initial parameters, order, augmentation, corruptions and attacks."""

    def __post_init__(self) -> None:
        for name in ("limit_attack", "width", "attack_steps", "epochs", "batch_size"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; it may be a positive integer.")
        if not all(severity in range(1, 6) for severity in self.severities):
            raise ValueError(f"severities is {self.severities}; each may be 1 to 5.")
        if not all(epsilon > 0 for epsilon in self.attack_epsilons):
            raise ValueError(f"epsilons is {self.epsilons}; each may be a positive number of 255ths.")
        if not all(factor >= 1 for factor in self.factors):
            raise ValueError(f"factors is {self.factors}; each may be 1 or more.")
        for name in self.corruptions:
            if name not in (*CORRUPTIONS, *VALIDATION_CORRUPTIONS):
                known = ", ".join((*CORRUPTIONS, *VALIDATION_CORRUPTIONS))
                raise ValueError(f"corruptions names {name!r}; it may name {known}.")
        if self.way == "raw":
            raise ValueError("way is 'raw', but the second classifier uses the path; it may be one of the other ways.")
        self.smoothed_view()
        self.path_inputs()

    @property
    def on_digits(self) -> bool:
        """Whether the data are the embedded digits, which have defaults of their own."""
        return self.data == DIGITS

    @property
    def attack_epsilons(self) -> tuple[float, ...]:
        """Radii of the attack, in units of 1/255."""
        if self.epsilons is not None:
            return self.epsilons
        return (4, 8, 16) if self.on_digits else (1, 2, 4)

    @property
    def channels(self) -> int:
        """Channels of the first layer of the network."""
        return self.width or (8 if self.on_digits else 16)

    def smoothed_view(self) -> View:
        """What the input is smoothed to at test time, where it is."""
        return View.parse(self.test_view or ("dense:4" if self.on_digits else "dense:8"))

    def path_inputs(self) -> Inputs:
        """How the second classifier uses the path."""
        default = ("dense:2", "dense:4", "dense:8") if self.on_digits else ("dense:4", "dense:8", "sparse:8")
        texts = default if self.views is None else self.views
        return Inputs(self.way, tuple(map(View.parse, texts)), self.raw_share, self.kappa, self.nu)

    def trainings(self, mirror: bool) -> dict[str, TrainConfig]:
        """The classifiers to train, by name.

        Args:
            mirror: Whether the data allow mirror images.
        """
        ways = {"raw": Inputs(solver_kappa=self.kappa, solver_nu=self.nu), "path": self.path_inputs()}
        chosen = {name: self._training(inputs, mirror, 0.0) for name, inputs in ways.items()}
        if self.noise > 0:
            noisy = {f"{name} + noise": self._training(inputs, mirror, self.noise) for name, inputs in ways.items()}
            chosen |= noisy
        return chosen

    def _training(self, inputs: Inputs, mirror: bool, noise: float) -> TrainConfig:
        return TrainConfig(
            epochs=self.epochs or (25 if self.on_digits else 20),
            batch_size=self.batch_size or (64 if self.on_digits else 128),
            seed=self.seed,
            inputs=inputs,
            optimizer=OptimizerConfig(learning_rate=self.learning_rate, weight_decay=self.weight_decay),
            augmentation=Augmentation(crop=2 if self.on_digits else 4, flip=mirror, noise=noise),
        )
