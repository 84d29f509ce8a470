"""The command `python -m isvs_jax photo.jpg --times 1 2 4 8`: the scale space of photographs, from files to files."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from isvs_jax._command import exit_status
from isvs_jax.data.image_files import SUFFIXES
from isvs_jax.photograph._smooth_photograph import smooth_photograph
from isvs_jax.solver.euler import Scheme
from isvs_jax.solver.shrinkage import Penalty
from isvs_jax.solver.split_lbi import SplitLBI


@dataclasses.dataclass(frozen=True)
class Photograph:
    """Write the inverse scale space of photographs: smoothed images at the given times, and a strip of them.

    Attributes:
        photos: Image files of any size, in any format that Pillow reads, and folders of such files.
        times: The times of the path, increasing; small times keep only the large-scale features.
        out: The folder to write to. By default NAME_scale_space in the current folder; the same within this folder
            where there are several photographs.
        output: Which images to write, dense and piecewise constant ones (sparse).
        nu: The coupling ν; the smaller it is, the more the size of a feature counts.
        kappa: The damping κ.
        penalty: Which edges enter together.
        scheme: How the flow is integrated.
        tolerance: The relative error wanted, over the energy of the image; 0.003 by default, 0.006 takes less time.
        max_side: The longest side in pixels, to which a larger photograph is shrunk first.
        overwrite: Whether to replace files that exist.
    """

    photos: Annotated[tuple[Path, ...], tyro.conf.Positional]
    times: tuple[float, ...] = (2.0, 4.0, 8.0, 16.0)
    out: Path | None = None
    output: tuple[Literal["dense", "sparse"], ...] = ("dense", "sparse")
    nu: float = 0.1
    kappa: float = 5.0
    penalty: Penalty = "color"
    scheme: Scheme = "spectral"
    tolerance: float | None = None
    max_side: int | None = None
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit status."""
    prog = "python -m isvs_jax"
    asked = tyro.cli(Photograph, prog=prog, args=arguments)

    def work() -> None:
        solver = SplitLBI(asked.kappa, asked.nu, asked.penalty, asked.scheme, tolerance=asked.tolerance)
        folders = folders_of(asked.photos, asked.out)
        for photo, folder in folders.items():
            files = smooth_photograph(
                photo,
                asked.times,
                solver,
                folder=folder,
                outputs=asked.output,
                max_side=asked.max_side,
                overwrite=asked.overwrite,
            )
            print(*files, sep="\n", flush=True)

    return exit_status(work, prog, "The same command goes on with the photographs that are not finished.")


def folders_of(photos: Sequence[Path], out: Path | None) -> dict[Path, Path]:
    """The photographs that files and folders stand for, and the folder that each is written to.

    Raises:
        ValueError: There is none, a folder holds none, or two have one name.
    """
    if not photos:
        raise ValueError("photos must be one or more image files or folders; got none.")
    files: list[Path] = []
    for photo in photos:
        found = _images_in(photo) if photo.is_dir() else [photo]
        if not found:
            raise ValueError(f"{photo} must hold image files ({' '.join(sorted(SUFFIXES))}); got none.")
        files += [file for file in found if file not in files]
    folders: dict[Path, Path] = {}
    for file in files:
        name = Path(f"{file.stem}_scale_space")
        folder = name if out is None else out if len(files) == 1 else out / name
        if folder in folders.values():
            raise ValueError(f"photos must differ in the names of their files; got two of the name {file.stem!r}.")
        folders[file] = folder
    return folders


def _images_in(folder: Path) -> list[Path]:
    files = (file for file in sorted(folder.iterdir()) if not file.name.startswith("."))
    return [file for file in files if file.suffix.lower() in SUFFIXES and file.is_file()]
