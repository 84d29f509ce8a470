"""How large the experiments are: for the demo, a look at all, a processor with few cores, an accelerator."""

from dataclasses import dataclass, replace
from types import MappingProxyType

from isvs_jax.data import DataChoice
from isvs_jax.training.config import ModelChoice


@dataclass(frozen=True)
class Size:
    """How large the experiments are.

    Attributes:
        data: Which images.
        model: Which network, and what its training starts from.
        epochs: Passes over the training images.
        batch_size: Images a step.
        learning_rate: The largest.
        weight_decay: Of the optimizer.
        seeds: Of the trainings; intervals over trainings take two or more.
        epsilons: Radii of the attacks, L∞.
        attacks: Of `isvs_jax.robustness.autoattack_report`, in order.
        corrupted_count: Test images in each cell of corruptions and low resolution.
        corruptions: Names; () for the 15 of the benchmark.
        severities: 1 to 5.
        attack_count: Test images under attack.
        attack_steps: Steps of a gradient attack.
        check_count: Test images in the ε-curve and under twice the steps.
        doubling: Whether to attack with twice the steps too; they are compiled anew.
        attack_queries: Queries of the attack without gradients.
        training_epsilon: Radius of adversarial training.
        training_attack_steps: Steps of its attack.
        ablation_seeds: Seeds of the ablation, which takes a training for each choice.
    """

    data: DataChoice
    model: ModelChoice
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seeds: tuple[int, ...]
    epsilons: tuple[float, ...]
    attacks: tuple[str, ...]
    corrupted_count: int
    corruptions: tuple[str, ...]
    severities: tuple[int, ...]
    attack_count: int
    attack_steps: int
    check_count: int
    doubling: bool
    attack_queries: int
    training_epsilon: float
    training_attack_steps: int
    ablation_seeds: tuple[int, ...]


_CPU = Size(
    data=DataChoice("tfds:cifar10", limit_train=5000),
    model=ModelChoice("cnn"),
    epochs=10,
    batch_size=64,
    learning_rate=4e-3,
    weight_decay=1e-2,
    seeds=(0, 1, 2),
    epsilons=(1 / 255, 2 / 255),
    attacks=("apgd-ce", "apgd-t", "square"),
    corrupted_count=500,
    corruptions=(),
    severities=(1, 2, 3, 4, 5),
    attack_count=64,
    attack_steps=20,
    check_count=16,
    doubling=True,
    attack_queries=300,
    training_epsilon=2 / 255,
    training_attack_steps=2,
    ablation_seeds=(0,),
)

SIZES = MappingProxyType(
    {
        "demo": replace(
            _CPU,
            # All digits; of larger sets as many as take minutes.
            data=DataChoice("digits", image_size=16, limit_train=5000),
            epochs=25,
            seeds=(0,),
            # The first for photographs, the last for digits.
            epsilons=(2 / 255, 4 / 255, 8 / 255),
            attacks=("apgd-ce", "square"),
            corruptions=(
                "gaussian_noise",
                "impulse_noise",
                "defocus_blur",
                "motion_blur",
                "fog",
                "brightness",
                "contrast",
                "pixelate",
                "jpeg_compression",
            ),
            severities=(1, 3, 5),
            # As many as are attacked, in the same programs.
            check_count=64,
            doubling=False,
            attack_queries=100,
        ),
        "smoke": replace(
            _CPU,
            data=DataChoice("digits", image_size=16, limit_train=400),
            epochs=3,
            batch_size=40,
            seeds=(0, 1),
            epsilons=(8 / 255,),
            attacks=("apgd-ce", "square"),
            corrupted_count=100,
            corruptions=("gaussian_noise", "defocus_blur", "fog", "contrast", "jpeg_compression"),
            severities=(3,),
            attack_count=20,
            attack_steps=10,
            # As many as are attacked, in the same programs.
            check_count=20,
            doubling=False,
            attack_queries=50,
            training_epsilon=8 / 255,
        ),
        "cpu": _CPU,
        "gpu": replace(
            _CPU,
            data=DataChoice("tfds:cifar10"),
            model=ModelChoice("resnet18"),
            epochs=100,
            batch_size=128,
            learning_rate=1e-3,
            weight_decay=5e-2,
            epsilons=(1 / 255, 2 / 255, 4 / 255, 8 / 255),
            attacks=("apgd-ce", "apgd-t", "fab-t", "square"),
            corrupted_count=10_000,
            attack_count=1000,
            attack_steps=100,
            check_count=200,
            attack_queries=5000,
            training_epsilon=8 / 255,
            training_attack_steps=7,
            ablation_seeds=(0, 1, 2),
        ),
    }
)
