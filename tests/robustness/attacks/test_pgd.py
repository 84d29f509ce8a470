import importlib
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.robustness.attacks import fgsm, pgd

KEY = jax.random.key(3)
RADII = {"linf": 0.04, "l2": 0.3}


def _foolbox_attack(norm, steps, step_size, start=None):
    # importorskip also keeps quiet about foolbox 3.3.4 asking SciPy for the namespace ndimage.filters.
    foolbox = pytest.importorskip("foolbox", reason="foolbox is not installed")
    eagerpy = importlib.import_module("eagerpy")
    base = {"linf": foolbox.attacks.LinfPGD, "l2": foolbox.attacks.L2PGD}[norm]

    class Started(base):
        def get_random_start(self, x0, epsilon):
            return eagerpy.astensor(start)

    return foolbox, Started(rel_stepsize=None, abs_stepsize=step_size, steps=steps, random_start=start is not None)


def _art_classifier(logits_fn):
    pytest.importorskip("art", reason="adversarial-robustness-toolbox is not in the test extra")
    estimators = importlib.import_module("art.estimators")
    classification = importlib.import_module("art.estimators.classification.classifier")

    class Wrapped(classification.ClassifierMixin, estimators.LossGradientsMixin, estimators.BaseEstimator):
        def __init__(self):
            super().__init__(model=logits_fn, clip_values=(0.0, 1.0))
            self._nb_classes = 5

        @property
        def input_shape(self):
            return (5, 5, 3)

        def predict(self, x, **kwargs):
            return np.asarray(logits_fn(jnp.asarray(x)))

        def loss_gradient(self, x, y, **kwargs):
            def total(v):
                return -(jax.nn.log_softmax(logits_fn(v)) * jnp.asarray(y)).sum()

            return np.asarray(jax.grad(total)(jnp.asarray(x)))

        def fit(self, x, y, **kwargs):
            raise NotImplementedError

    return Wrapped()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fgsm_equals_foolbox(case, norm):
    foolbox, attack = _foolbox_attack(norm, 1, RADII[norm])
    model = foolbox.JAXModel(case.logits_fn, bounds=(0, 1))
    theirs = attack.run(model, case.images, case.labels, epsilon=RADII[norm])
    ours = fgsm(case.logits_fn, case.images, case.labels, KEY, epsilon=RADII[norm], norm=norm)
    assert float(jnp.abs(ours - case.images).max()) > 0.9 * RADII["linf"]
    np.testing.assert_allclose(ours, theirs, atol=2e-7)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("moved_start", [False, True])
def test_pgd_equals_foolbox_step_by_step(case, norm, moved_start):
    steps, step_size = 7, RADII[norm] / 4
    start = None
    if moved_start:
        noise = jax.random.uniform(jax.random.key(9), case.images.shape, minval=-1) * 0.03
        start = jnp.clip(case.images + noise, 0, 1)
    foolbox, attack = _foolbox_attack(norm, steps, step_size, start)
    model = foolbox.JAXModel(case.logits_fn, bounds=(0, 1))
    theirs = attack.run(model, case.images, case.labels, epsilon=RADII[norm])
    ours = pgd(
        case.logits_fn, case.images, case.labels, KEY, epsilon=RADII[norm], norm=norm, start=start,
        num_steps=steps, step_size=step_size, random_start=False, keep="last",
    )  # fmt: skip
    # Seven steps of rounding to float32 in [0, 1].
    np.testing.assert_allclose(ours, theirs, atol=2e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fgsm_and_pgd_equal_art(case, norm):
    classifier = _art_classifier(case.logits_fn)
    evasion = importlib.import_module("art.attacks.evasion")
    pgd_module = importlib.import_module(
        "art.attacks.evasion.projected_gradient_descent.projected_gradient_descent_numpy"
    )
    order, radius = {"linf": np.inf, "l2": 2}[norm], RADII[norm]
    # Away from 0 and 1: in L2 ART clips into the box before it projects onto the ball, we after it.
    images = np.asarray(0.35 + 0.3 * case.images)
    labels = np.asarray(case.logits_fn(images).argmax(1))
    one_hot = np.eye(5, dtype=np.float32)[labels]

    theirs = evasion.FastGradientMethod(classifier, norm=order, eps=radius).generate(images, one_hot)
    ours = fgsm(case.logits_fn, images, labels, KEY, epsilon=radius, norm=norm)
    np.testing.assert_allclose(ours, theirs, atol=3e-7)

    attack = pgd_module.ProjectedGradientDescentNumpy(
        classifier, norm=order, eps=radius, eps_step=radius / 4, max_iter=7, verbose=False
    )
    ours = pgd(
        case.logits_fn, images, labels, KEY, epsilon=radius, norm=norm, num_steps=7,
        step_size=radius / 4, random_start=False, keep="last",
    )  # fmt: skip
    np.testing.assert_allclose(ours, attack.generate(images, one_hot), atol=2e-6)


def test_pgd_of_one_whole_step_from_the_image_is_fgsm(case):
    options = {"epsilon": 0.04, "norm": "l2", "loss": "margin"}
    step = fgsm(case.logits_fn, case.images, case.labels, KEY, **options)
    walk = pgd(
        case.logits_fn, case.images, case.labels, KEY, **options, num_steps=1, step_size=0.04,
        random_start=False, keep="last",
    )  # fmt: skip
    assert (step == walk).all()


@pytest.mark.parametrize("loss", ["cross_entropy", "margin", "dlr"])
def test_best_is_never_worse_than_last_and_restarts_only_help(case, accuracy, loss):
    common = (case.logits_fn, case.images, case.labels, KEY)
    options = {"epsilon": 0.03, "loss": loss, "num_steps": 8}
    last = accuracy(case.logits_fn, pgd(*common, **options, keep="last"), case.labels)
    best = accuracy(case.logits_fn, pgd(*common, **options), case.labels)
    more = accuracy(case.logits_fn, pgd(*common, **options, restarts=4), case.labels)
    assert more <= best <= last
    assert more < 1.0


def test_success_comes_before_loss(case):
    # Images 0 and 1 are wrong from the start: whatever is returned must stay wrong.
    labels = case.labels.at[:2].add(1) % 5
    found = pgd(case.logits_fn, case.images, labels, KEY, epsilon=0.01, num_steps=8)
    assert (case.logits_fn(found).argmax(1) != labels)[:2].all()


def test_each_image_by_itself_and_jit_and_vmap(case):
    def attack(images, labels, epsilon):
        return pgd(case.logits_fn, images, labels, KEY, epsilon=epsilon, num_steps=8, step_size=0.02)

    whole = attack(case.images, case.labels, 0.04)
    # An image's draws depend on its place; a shorter batch keeps the places of what it has.
    # Matrix products of other shapes round differently, which the sign turns into whole steps only
    # where a gradient is nearly zero.
    np.testing.assert_allclose(attack(case.images[:7], case.labels[:7], 0.04), whole[:7], atol=1e-6)
    # The compiled loop and the steps called from the host.
    radii = jnp.array([0.04, 0.02])
    twice = jax.jit(jax.vmap(attack, in_axes=(None, None, 0)))(case.images, case.labels, radii)
    np.testing.assert_allclose(twice[0], whole, atol=1e-6)
    np.testing.assert_allclose(twice[1], attack(case.images, case.labels, 0.02), atol=1e-6)


def test_the_second_call_compiles_nothing(case):
    traces = []

    def counted(images):
        traces.append(images.shape)
        return case.logits_fn(images)

    for name in (fgsm, pgd):
        name(counted, case.images, case.labels, KEY, epsilon=0.05)
        before = len(traces)
        more = {"num_steps": 3} if name is pgd else {}
        name(counted, case.images * 0.5, case.labels, jax.random.key(8), epsilon=0.01, **more)
        assert len(traces) == before > 0


def test_the_weights_of_a_partial_are_traced(case):
    traces = []

    def linear(weights, images):
        traces.append(1)
        return images.reshape(len(images), -1) @ weights

    for seed in (0, 1):
        weights = jax.random.normal(jax.random.key(seed), (75, 4))
        model = jax.tree_util.Partial(linear, weights)
        labels = model(case.images).argmax(1)
        before = len(traces)
        found = pgd(model, case.images, labels, KEY, epsilon=0.05, loss="margin")
        if seed == 1:
            assert len(traces) == before
        # With these weights, not those of the call before.
        assert (model(found).argmax(1) != labels).any()


def test_constants_under_jit_are_checked_like_arguments(case):
    @jax.jit
    def attack(step_size):
        return pgd(case.logits_fn, case.images, case.labels, KEY, epsilon=0.04, num_steps=2, step_size=step_size)

    assert attack(0.04).shape == case.images.shape
    with pytest.raises(ValueError, match="at least epsilon"):
        jax.jit(lambda x: pgd(case.logits_fn, x, case.labels, KEY, epsilon=0.04, num_steps=2, step_size=0.01))(
            case.images
        )


def test_dtypes_are_kept(case, x64):
    for name in (fgsm, pgd):
        for dtype in (jnp.float64, jnp.float32):
            images = jax.ShapeDtypeStruct(case.images.shape, dtype)
            attack = partial(name, case.logits_fn, labels=case.labels, key=KEY, epsilon=0.04)
            assert jax.eval_shape(attack, images).dtype == dtype


def test_a_surrogate_gives_the_gradient_and_the_model_decides(case, rounding, accuracy):
    common = (rounding, case.images, rounding(case.images).argmax(1), KEY)
    blind = pgd(*common, epsilon=0.1)
    seeing = pgd(*common, epsilon=0.1, gradient_fn=case.logits_fn)
    assert accuracy(rounding, seeing, common[2]) < accuracy(rounding, blind, common[2])
    # Without random start and gradient nothing moves at all.
    still = pgd(*common, epsilon=0.1, random_start=False)
    assert (still == case.images).all()


def test_one_broken_example_spoils_no_other(case):
    def broken(images):
        first = jnp.arange(len(images)) == 0
        return jnp.where(first[:, None], jnp.nan, 1.0) * case.logits_fn(images)

    common = (case.images, case.labels, KEY)
    good = pgd(case.logits_fn, *common, epsilon=0.04, num_steps=8)
    bad = pgd(broken, *common, epsilon=0.04, num_steps=8)
    # What predicts nothing is misclassified from the start, so that the clean image is the answer.
    assert (bad[0] == case.images[0]).all()
    np.testing.assert_allclose(bad[1:], good[1:], atol=1e-6)


def test_random_models_are_attacked_in_the_mean(case):
    def noisy(images, key):
        return case.logits_fn(images + 0.1 * jax.random.normal(key, images.shape))

    def hits(images):
        keys = jax.random.split(jax.random.key(77), 20)
        return float((jax.vmap(noisy, (None, 0))(images, keys).argmax(2) == case.labels[None]).mean())

    found = pgd(noisy, case.images, case.labels, KEY, epsilon=0.05, num_steps=10, eot_samples=8)
    assert hits(found) < hits(case.images) - 0.2


def test_an_epsilon_of_zero_returns_the_images(case):
    for norm in ("linf", "l2"):
        same = pgd(case.logits_fn, case.images, case.labels, KEY, epsilon=0.0, norm=norm, num_steps=8)
        assert (same == case.images).all()


def test_runs_that_cannot_reach_epsilon_are_refused(case):
    common = (case.logits_fn, case.images, case.labels, KEY)
    with pytest.raises(ValueError, match=r"at least epsilon = 0\.03, .*; got 10 × 0\.001 = 0\.01"):
        pgd(*common, epsilon=0.03, num_steps=10, step_size=0.001)
    with pytest.raises(ValueError, match="step_size must be a positive finite number; got 0"):
        pgd(*common, epsilon=0.03, step_size=0.0)
    # ε / n exactly, however it was rounded, is enough.
    pgd(*common, epsilon=0.03, num_steps=7, step_size=0.03 / 7)
    with pytest.raises(ValueError, match="restarts must be 1 with random_start=False"):
        pgd(*common, epsilon=0.03, restarts=2, random_start=False)
    with pytest.raises(ValueError, match="start must lie in the ball"):
        pgd(*common, epsilon=0.03, start=case.images * 0.5, random_start=False)
    with pytest.raises(ValueError, match="random_start=False"):
        pgd(*common, epsilon=0.03, start=case.images)
