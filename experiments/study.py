"""A study: the size, the data, the seeds and the folder that experiments share."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from experiments.sizes import SIZES, Size


@dataclass(frozen=True)
class Study:
    """What the experiments share. Trainings and reports in the folder are used by every experiment that asks for them.

    Attributes:
        size: How large: "smoke" for a look (minutes, embedded digits), "cpu" for a machine with few cores, "gpu".
        out: Folder of trainings, reports, tables and pictures; by default results/SIZE. What was stopped goes on.
        data: Other images than the size's, see `python -m isvs_jax.training raw --help`.
        data_dir: Where TFDS keeps its data sets.
        seeds: Other seeds than the size's.
        model: Another network than the size's, one of `isvs_jax.models.MODELS`.
        weights: What trainings start from: a PyTorch state dict of the network, or the folder of a run of it; by
            default parameters are drawn from the seed.
        epochs: Other passes over the training images than the size's.
        learning_rate: Another peak of the learning rate than the size's.
        finished_only: Use only reports that are in the folder: nothing is trained or judged, and who has no report is
            left out and named. For a look at a study that is not done.
        progress: Whether to show bars.
    """

    size: Literal["smoke", "cpu", "gpu"] = "smoke"
    out: Path | None = None
    data: str | None = None
    data_dir: str | None = None
    seeds: tuple[int, ...] | None = None
    model: str | None = None
    weights: str | None = None
    epochs: int | None = None
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
        chosen = replace(
            size,
            data=images,
            model=replace(size.model, name=self.model or size.model.name, weights=self.weights),
            epochs=size.epochs if self.epochs is None else self.epochs,
            learning_rate=size.learning_rate if self.learning_rate is None else self.learning_rate,
        )
        if self.seeds is None:
            return chosen
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds is {self.seeds}; it may hold one or more different numbers.")
        return replace(chosen, seeds=self.seeds, ablation_seeds=self.seeds[: len(size.ablation_seeds)])
