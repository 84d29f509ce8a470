"""The methods train: `make train-smoke` runs this file."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax import data
from isvs_jax.training import (
    Inputs,
    Objective,
    Resources,
    TrainConfig,
    View,
    execute,
    init_state,
    make_optimizer,
    make_train_step,
    matched,
    method_configs,
    plain_batch,
    show_views,
)
from isvs_jax.training.command import _first_line, parse
from isvs_jax.training.methods import PATH_VIEWS, as_noted, views_to_match
from tests.training.networks import Minute

SMALL = ["--data.image-size", "8", "--data.limit-train", "64", "--data.limit-test", "20"]


# Each objective, each way to use views, each kind of view that is matched: what the others are made of.
TRAINED = ("noise", "fixed", "coarse_to_fine", "consistency", "rof", "path_augmix", "path_adversarial", "path_trades")


@pytest.mark.usefixtures("minute_networks")
@pytest.mark.parametrize("name", TRAINED)
def test_methods_take_a_few_steps(name: str, tmp_path: Path) -> None:
    run = parse([name, *SMALL, "--out", str(tmp_path / name)])
    objective = replace(run.train.objective, attack_steps=1)
    inputs = replace(run.train.inputs, views=tuple(replace(v, strength=v.strength / 8) for v in run.train.inputs.views))
    if run.matched_to:
        inputs = run.train.inputs
    train = replace(run.train, epochs=1, batch_size=32, inputs=inputs, objective=objective)
    resources = Resources(devices=1)
    run = replace(run, train=train, resources=resources, matched_to=tuple(View(v.strength / 8) for v in run.matched_to))
    result = execute(run, progress=False, say=lambda text: None)
    assert result["steps"] == 2
    assert 0 <= result["clean_accuracy"] <= 1
    log = [json.loads(line) for line in (run.out / "log.jsonl").read_text().splitlines()]
    assert np.isfinite([line["loss"] for line in log]).all()


@pytest.mark.parametrize("name", sorted(set(method_configs()) - set(TRAINED)))
def test_the_step_of_every_other_method_fits_together(name: str) -> None:
    config, model = method_configs()[name], Minute()
    optimizer = make_optimizer(config.optimizer, 10)
    state = jax.eval_shape(lambda: init_state(model, optimizer, (8, 8, 1), seed=0))
    batch = plain_batch(jnp.zeros((4, 8, 8, 1)), jnp.zeros(4, jnp.int32))
    step = make_train_step(model, optimizer, config)
    moved, metrics = jax.eval_shape(step, state, batch, jax.random.key(0))
    assert jax.tree.map(lambda leaf: leaf.shape, moved) == jax.tree.map(lambda leaf: leaf.shape, state)
    assert metrics.loss.shape == ()


def test_the_methods_differ_in_what_their_names_say() -> None:
    configs = method_configs()
    assert configs["raw"].inputs == Inputs()
    assert {config.epochs for config in configs.values()} == {20}
    assert {config.optimizer for config in configs.values()} == {configs["raw"].optimizer}
    along = {"fixed", "coarse_to_fine", "consistency", "scale_mix", "all_round"}
    for name, config in configs.items():
        on_path = bool(config.inputs.views) and all(view.is_path for view in config.inputs.views)
        is_said = "path" in name.split("_") and config.objective.name not in ("gaussian", "gaussian_consistency")
        assert on_path == (name in along or (is_said and name != "augmix_path")), name
    assert configs["path_trades"].objective == configs["trades"].objective == Objective("trades")


PLACES = {
    "path_noise": ("raw", "last"),
    "noise_then_path": ("raw", "first"),
    "path_or_noise": ("raw", "unsmoothed"),
    "augmix_or_path_noise": ("augmix", "last"),
    "all_round": ("augmix", "unsmoothed"),
}


@pytest.mark.parametrize("name", PLACES)
def test_recipes_are_the_path_with_what_they_say_and_their_twins_differ_in_the_views_alone(name: str) -> None:
    configs = method_configs()
    recipe, base = configs[name], configs["scale_mix" if name == "all_round" else "path"]
    unsmoothed, place = PLACES[name]
    inputs = replace(base.inputs, unsmoothed=unsmoothed, noise_place=place)  # type: ignore[arg-type]
    assert recipe == replace(base, inputs=inputs, augmentation=configs["noise"].augmentation)
    twin = configs["all_round_blur" if name == "all_round" else name.replace("path", "blur")]
    assert {view.kind for view in twin.inputs.views} == {"blur"}
    assert len(twin.inputs.views) == len(recipe.inputs.views)
    assert replace(twin, inputs=replace(twin.inputs, views=recipe.inputs.views)) == recipe
    assert views_to_match(twin) == recipe.inputs.views


def test_augmix_with_noise_is_what_the_recipes_have_beside_their_views() -> None:
    configs = method_configs()
    found = configs["augmix_noise"]
    assert found == replace(configs["noise"], inputs=Inputs(unsmoothed="augmix"))
    assert _first_line("augmix_noise") == (
        "inputs raw; AugMix of all; objective cross_entropy; Gaussian noise up to 0.1"
    )
    assert _first_line("all_round") == (
        "inputs scale_mix dense:1 dense:2 dense:4 dense:8; AugMix of the others; objective cross_entropy; "
        "Gaussian noise up to 0.1 where nothing is smoothed"
    )


BLURS = method_configs()["blur"].inputs.views


@pytest.mark.parametrize("name", ["blur", "augmix_blur"])
def test_a_run_goes_on_with_the_strengths_that_its_folder_has_noted(name: str) -> None:
    config = method_configs()[name]

    def noted(factor: float) -> TrainConfig:
        def scaled(views: tuple[View, ...]) -> tuple[View, ...]:
            return tuple(replace(view, strength=view.strength * factor) for view in views)

        augmix = replace(config.objective.augmix, views=scaled(config.objective.augmix.views))
        inputs = replace(config.inputs, views=scaled(config.inputs.views))
        return replace(config, inputs=inputs, objective=replace(config.objective, augmix=augmix))

    close, far = ({"train": asdict(noted(factor))} for factor in (1.0005, 1.002))
    assert as_noted(config, close) == noted(1.0005) != config
    for other in (far, {"train": asdict(method_configs()["path"])}, {}, {"train": None}):
        assert as_noted(config, other) == config
    # A time of the path is no measurement.
    either = method_configs()["all_round_either"]
    first, *others = either.inputs.views
    later = replace(first, strength=first.strength * 1.0005)
    noted_later = replace(either, inputs=replace(either.inputs, views=(later, *others)))
    assert as_noted(either, {"train": asdict(noted_later)}) == either


@pytest.mark.parametrize("kind", ["blur", "rof"])
def test_filters_take_away_as_much_as_the_path(kind: str) -> None:
    assert views_to_match(method_configs()[kind]) == PATH_VIEWS
    assert views_to_match(method_configs()["path"]) == views_to_match(method_configs()["raw"]) == ()
    images = data.as_float(data.load("digits", image_size=12, limit_train=16).train.images)
    views = tuple(View(view.strength / 4) for view in PATH_VIEWS)
    found = matched(method_configs()[kind], views, images)
    assert [view.kind for view in found.inputs.views] == [kind] * 3

    def energies(shown: tuple[View, ...]) -> np.ndarray:
        return np.mean((np.asarray(show_views(jnp.asarray(images), shown)) - images) ** 2, axis=(1, 2, 3, 4))

    np.testing.assert_allclose(energies(found.inputs.views), energies(views), rtol=2e-3)
    of_augmix = matched(method_configs()["augmix_blur"], views, images)
    if kind == "blur":
        assert of_augmix.objective.augmix.views == found.inputs.views
        assert len(views_to_match(method_configs()["scale_mix_blur"])) == 4
    if kind == "blur":
        # Of the bands of both kinds those of the path stay.
        either = replace(method_configs()["all_round_either"], inputs=Inputs("random", (*PATH_VIEWS, *BLURS)))
        assert matched(either, views, images).inputs.views == (*PATH_VIEWS, *found.inputs.views)
        assert len(views_to_match(method_configs()["all_round_either"])) == 4
    with pytest.raises(ValueError, match="views must hold one filter"):
        matched(method_configs()["path"], views, images)
    with pytest.raises(ValueError, match="views must hold one filter"):
        matched(method_configs()[kind], views[:2], images)
