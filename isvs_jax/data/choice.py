"""Which images: one description of them for training, the referee and the experiments."""

import dataclasses
from dataclasses import dataclass

from isvs_jax._checks import check_number
from isvs_jax.data._load import load
from isvs_jax.data.dataset import Dataset


@dataclass(frozen=True)
class DataChoice:
    """Which images.

    Attributes:
        spec: "digits" (embedded), "tfds:NAME" such as "tfds:cifar10", "prepared:FOLDER", or a folder with a folder of
            images for each class.
        data_dir: Where TFDS keeps its data sets; by default ~/tensorflow_datasets.
        image_size: Height and width; by default 32 for the digits and for images of several sizes, else their own.
        limit_train: At most so many training images, drawn at random.
        limit_test: At most so many test images, drawn at random.
        draw_seed: Of these draws.
        validation_share: Above 0: a stratified share of the training images is held out, tested after every epoch, and
            the best checkpoint kept.
        mirror: Whether images may be mirrored; by default what the data set says (photographs yes, digits no).
    """

    spec: str = "digits"
    data_dir: str | None = None
    image_size: int | None = None
    limit_train: int | None = None
    limit_test: int | None = None
    draw_seed: int = 0
    validation_share: float = 0.0
    mirror: bool | None = None

    def __post_init__(self) -> None:
        check_number("validation_share", self.validation_share, "[0, 1)")


def load_data(choice: DataChoice, *, progress: bool = True) -> Dataset:
    """The images of a choice; mirrored or not as it says."""
    dataset = load(
        choice.spec,
        data_dir=choice.data_dir,
        image_size=choice.image_size,
        limit_train=choice.limit_train,
        limit_test=choice.limit_test,
        seed=choice.draw_seed,
        progress=progress,
    )
    return dataset if choice.mirror is None else dataclasses.replace(dataset, mirror=choice.mirror)
