"""A study: the size, the data, the seeds and the folder that experiments share."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from experiments.sizes import SIZES, Size


@dataclass(frozen=True)
class Study:
    """What the experiments share. Trainings and reports in the folder are used by every experiment that asks for them.

    Attributes:
        size: How large: "demo" for a small network on embedded digits and "smoke" for a look at every experiment on
            them (minutes), "cpu" for a machine with few cores, "gpu".
        out: Folder of trainings, reports, tables and pictures; by default results/SIZE. What was stopped goes on.
        data: Other images than the size's: "digits" (embedded), "tfds:NAME" such as "tfds:cifar10", "prepared:FOLDER",
            or a folder with a folder of images for each class.
        data_dir: Where TFDS keeps its data sets; by default ~/tensorflow_datasets.
        image_size: Another height and width than the size's; where other images are given, by default their own, or 32
            where these differ.
        limit_train: Another limit of training images, drawn at random, than the size's.
        limit_test: Another number of test images, drawn at random, than the size's; the first of them are attacked.
        seeds: Other seeds of the trainings than the size's.
        model: Another network than the size's, one of `isvs_jax.models.MODELS`.
        weights: What trainings start from: a PyTorch state dict of the network, or the folder of a run of it; by
            default parameters are drawn from the seed.
        epochs: Other passes over the training images than the size's.
        batch_size: Other images a step than the size's.
        learning_rate: Another peak of the learning rate than the size's.
        finished_only: Use only reports that are in the folder: nothing is trained or judged, and who has no report is
            left out and named. For a look at a study that is not done.
        progress: Whether to show bars.
    """

    size: Literal["demo", "smoke", "cpu", "gpu"] = "smoke"
    out: Path | None = None
    data: str | None = None
    data_dir: str | None = None
    image_size: int | None = None
    limit_train: int | None = None
    limit_test: int | None = None
    seeds: tuple[int, ...] | None = None
    model: str | None = None
    weights: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    finished_only: bool = False
    progress: bool = True

    @property
    def root(self) -> Path:
        """The folder."""
        return Path("results") / self.size if self.out is None else self.out

    @property
    def scale(self) -> Size:
        """The size with the choices of this study."""
        size = SIZES[self.size]
        images = replace(size.data, data_dir=self.data_dir)
        if self.data is not None:
            images = replace(images, spec=self.data, image_size=None)
        images = replace(images, **_given(image_size=self.image_size, limit_train=self.limit_train))
        chosen = replace(
            size,
            data=images,
            model=replace(size.model, weights=self.weights, **_given(name=self.model)),
            **_given(
                corrupted_count=self.limit_test,
                epochs=self.epochs,
                batch_size=self.batch_size,
                learning_rate=self.learning_rate,
            ),
        )
        if self.seeds is None:
            return chosen
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds is {self.seeds}; it may hold one or more different numbers.")
        if not all(0 <= seed < 2**32 for seed in self.seeds):
            raise ValueError(f"seeds is {self.seeds}; it may hold numbers of at least 0 and below 2³².")
        return replace(chosen, seeds=self.seeds, ablation_seeds=self.seeds[: len(size.ablation_seeds)])


def _given(**values: Any) -> dict[str, Any]:
    """Without those that are None."""
    return {name: value for name, value in values.items() if value is not None}
