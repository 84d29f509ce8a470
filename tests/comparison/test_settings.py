import pytest

from isvs_jax.comparison import Settings, conditions
from isvs_jax.training import View


def test_the_trainings_differ_only_in_their_inputs() -> None:
    raw, path = Settings().trainings(mirror=False).values()
    assert raw.inputs.way == "raw"
    assert path.inputs.views == (View(2.0), View(4.0), View(8.0))
    assert (raw.epochs, raw.optimizer, raw.augmentation, raw.seed) == (
        path.epochs,
        path.optimizer,
        path.augmentation,
        path.seed,
    )


def test_noise_adds_two_trainings() -> None:
    trainings = Settings(noise=0.1).trainings(mirror=True)
    assert list(trainings) == ["raw", "path", "raw + noise", "path + noise"]
    assert [config.augmentation.noise for config in trainings.values()] == [0, 0, 0.1, 0.1]
    assert all(config.augmentation.flip for config in trainings.values())


def test_every_test_once() -> None:
    names = [str(condition) for condition in conditions(Settings(epsilons=(4, 1)))]
    assert len(names) == len(set(names)) == 1 + 7 * 3 + 2 + 2
    assert names[-2:] == ["pgd_linf/1", "pgd_linf/4"]


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("way", "raw", "way is 'raw'"),
        ("way", "fixed", "takes one view"),
        ("views", ("dense",), "view is 'dense'"),
        ("test_view", "dense:-1", "view is 'dense:-1'"),
        ("severities", (0,), "severities is"),
        ("epsilons", (0.0,), "epsilons is"),
        ("limit_attack", 0, "limit_attack is 0"),
        ("epochs", 0, "epochs is 0"),
        ("width", -1, "width is -1"),
        ("corruptions", ("rain",), "corruptions names 'rain'"),
        ("factors", (0,), "factors is"),
    ],
)
def test_bad_values_are_refused(field: str, value: object, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Settings(**{field: value})  # type: ignore[arg-type]
