"""A comparison from the data to the report: train, test, write down."""

import dataclasses
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from tqdm import tqdm

from isvs_jax import SplitLBI, data, environment, models
from isvs_jax.comparison.conditions import Condition, conditions, shown_under
from isvs_jax.comparison.defended import attacks_on, smoothed_logits, survivors
from isvs_jax.comparison.pictures import draw_accuracies, draw_paths
from isvs_jax.comparison.report import table, write_report
from isvs_jax.comparison.results import Results
from isvs_jax.comparison.settings import Settings
from isvs_jax.data.dataset import drawn_indices
from isvs_jax.models import CNN, LogitsFn
from isvs_jax.training import Resources, View, claim, correct, read_log, train

Say = Callable[[str], None]
# One line of the log an epoch; the views in memory, which is the faster way on CPUs and fits such sets.
_RESOURCES = Resources(smoothing="cache", log_steps=10**9)


@dataclass(frozen=True)
class Contestant:
    """A trained classifier with the way its input is prepared at test time; `bare` is the one without preparation."""

    name: str
    logits: LogitsFn
    bare: LogitsFn
    view: View | None = None


def compare(settings: Settings, folder: Path, *, progress: bool = True, say: Say = print) -> Results:
    """Train the classifiers of a comparison, test them on the same images, and leave the results in a folder.

    The folder holds config.json, metrics.json, report.md, path.png, accuracies.png and a folder of trainings. Each
    training and each test is written down when it is done; called again with the same settings, whatever is there is
    used again.

    Args:
        settings: What to do.
        folder: Where the results go.
        progress: Whether to show progress bars.
        say: Where lines of text go.

    Returns:
        The results.

    Raises:
        ConfigurationChangedError: The folder holds results of other settings or other data.
    """
    began = time.monotonic()
    dataset = _load(settings, progress)
    again = claim(folder, _fingerprint(settings, dataset))
    say(f"{dataset.source}: {len(dataset.train)} training and {len(dataset.test)} test images {dataset.image_shape}")
    results = Results(folder)
    if again:
        say(f"{folder} holds this configuration already: what is finished there is used again.")
    results.note("environment", _environment())
    results.note("data", _described(dataset))
    try:
        contestants = _train_all(settings, dataset, folder, results, progress, say)
        _test_all(settings, dataset, contestants, results, progress)
        names = [contestant.name for contestant in contestants]
        draw_paths(dataset, settings, folder / "path.png")
        draw_accuracies(results, settings, names, folder / "accuracies.png")
    finally:
        # An interrupted run counts too.
        results.note("seconds", round(results.values.get("seconds", 0.0) + time.monotonic() - began, 1))
    write_report(results, settings, names, folder / "report.md")
    say("\n" + table(results, settings, names))
    return results


def _load(settings: Settings, progress: bool) -> data.Dataset:
    dataset = data.load(
        settings.data,
        data_dir=settings.data_dir,
        image_size=settings.image_size,
        limit_train=settings.limit_train,
        limit_test=settings.limit_test,
        seed=settings.seed,
        progress=progress,
    )
    return data.holdout(dataset) if settings.validation else dataset


def _fingerprint(settings: Settings, dataset: data.Dataset) -> dict[str, Any]:
    """All that the results depend on; where the data lie is not of it, what they are is."""
    digest = hashlib.sha256()
    for split in (dataset.train, dataset.test):
        digest.update(np.ascontiguousarray(split.images).tobytes())
        digest.update(split.labels.tobytes())
    chosen = dataclasses.asdict(settings)
    del chosen["data_dir"]
    trainings = {name: dataclasses.asdict(config) for name, config in settings.trainings(dataset.mirror).items()}
    return {
        "settings": chosen,
        "trainings": trainings,
        "epsilons": settings.attack_epsilons,
        "data_sha256": digest.hexdigest(),
        "isvs_jax": environment.versions()["isvs_jax"],
    }


def _environment() -> dict[str, Any]:
    return {
        "command": environment.command_line(),
        "versions": environment.versions("flax", "optax", "orbax-checkpoint"),
        "commit": environment.commit(),
        "hardware": environment.hardware(jax.devices()),
    }


def _described(dataset: data.Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "source": dataset.source,
        "image_shape": dataset.image_shape,
        "classes": dataset.class_names,
        "train_images": len(dataset.train),
        "test_images": len(dataset.test),
    }


def _train_all(
    settings: Settings, dataset: data.Dataset, folder: Path, results: Results, progress: bool, say: Say
) -> list[Contestant]:
    """Every classifier trained (or taken from its checkpoint), and every way to test it."""
    model = CNN(dataset.num_classes, settings.channels)
    contestants = []
    for name, config in settings.trainings(dataset.mirror).items():
        run_dir = folder / "trainings" / name.replace(" ", "")
        state = train(
            model, dataset.train, config, run_dir=run_dir, resources=_RESOURCES, label=name, progress=progress
        )
        if name not in results.values["trainings"]:
            last = read_log(run_dir)[-1]
            results.note_training(
                name,
                {
                    "seconds": last["seconds"],
                    "parameters": models.count_parameters(state.variables),
                    "last_epoch": last,
                    "config": dataclasses.asdict(config),
                },
            )
        else:
            say(f"{name}: taken from its checkpoint in {run_dir}")
        logits = models.logits_fn(model, state.variables)
        contestants.append(Contestant(name, logits, logits))
        if config.inputs.way != "raw":
            view = settings.smoothed_view()
            smoothed = smoothed_logits(logits, view, _solver(settings))
            contestants.append(Contestant(f"{name}, smoothed", smoothed, logits, view))
    return contestants


def _solver(settings: Settings) -> SplitLBI:
    return SplitLBI(kappa=settings.kappa, nu=settings.nu)


def _test_all(
    settings: Settings, dataset: data.Dataset, contestants: list[Contestant], results: Results, progress: bool
) -> None:
    images = data.as_float(dataset.test.images)
    corrupt_key, attack_key = jax.random.split(jax.random.fold_in(jax.random.key(settings.seed), 1))
    count = min(settings.limit_attack, len(images))
    attacked = drawn_indices(len(images), count, settings.seed)
    todo = conditions(settings)
    with tqdm(total=len(todo) * len(contestants), desc="testing", unit="test", disable=not progress) as bar:
        for condition in todo:
            bar.set_postfix_str(str(condition))
            open_ = [c for c in contestants if not results.has(c.name, str(condition))]
            bar.update(len(contestants) - len(open_))
            if open_ and condition.kind != "pgd":
                shown = shown_under(condition, images, corrupt_key)
            for contestant in open_:
                if condition.kind == "pgd":
                    labels = dataset.test.labels[attacked]
                    _attack(contestant, condition, settings, images[attacked], labels, attack_key, results)
                else:
                    right = correct(contestant.logits, shown, dataset.test.labels)
                    results.record(contestant.name, str(condition), right)
                bar.update()


def _attack(
    contestant: Contestant,
    condition: Condition,
    settings: Settings,
    images: np.ndarray,
    labels: np.ndarray,
    key: jax.Array,
    results: Results,
) -> None:
    """White-box attacks on what withstood every smaller radius: its image fooled there lies in this ball too."""
    clean = correct(contestant.logits, images, labels)
    standing = clean.copy()
    for epsilon in settings.attack_epsilons:
        if epsilon < condition.level:
            smaller = results.cell(contestant.name, str(dataclasses.replace(condition, level=epsilon)))
            standing &= np.isin(np.arange(len(images)), smaller["standing"])
    after = survivors(
        contestant.logits,
        attacks_on(contestant.bare, contestant.view, _solver(settings)),
        images,
        labels,
        standing,
        jax.random.fold_in(key, round(condition.level * 1000)),
        epsilon=condition.level / 255,
        num_steps=settings.attack_steps,
    )
    results.record_attacks(contestant.name, str(condition), clean, after)
