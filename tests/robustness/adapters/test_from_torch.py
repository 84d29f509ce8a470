"""PyTorch modules as models: values and gradients are PyTorch's own, in all of the referee."""

import subprocess
import sys
import textwrap
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from isvs_jax.robustness import (
    Attacks,
    adapt,
    apgd,
    attack_defence,
    certify,
    evaluate,
    fab,
    from_host,
    from_torch,
    pgd,
    rounding_defence,
    smoothing_defence,
    square,
)

torch = pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.fixture(scope="module")
def module():
    """A small network with batch normalisation and dropout, which differ between training and evaluation."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 6, 3, padding=1),
        torch.nn.BatchNorm2d(6),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.5),
        torch.nn.Flatten(),
        torch.nn.Linear(6 * 8 * 8, 5),
    )
    network[1].running_mean.uniform_(-0.5, 0.5)
    network[1].running_var.uniform_(0.5, 2.0)
    return network.eval()


_IMAGES = np.random.default_rng(0).uniform(size=(6, 8, 8, 3)).astype(np.float32)


def _own(module, images):
    with torch.no_grad():
        return module(torch.from_numpy(images.transpose(0, 3, 1, 2).copy())).numpy()


def test_values_and_gradients_are_pytorch_s_own(module):
    model, wanted = from_torch(module), _own(module, _IMAGES)
    for found in (model(_IMAGES), jax.jit(model)(_IMAGES)):
        np.testing.assert_allclose(found, wanted, atol=1e-5)

    def total(images):
        return jnp.sum(jnp.sin(model(2 * images)))

    given = torch.from_numpy(_IMAGES).requires_grad_()
    torch.sin(module(2 * given.permute(0, 3, 1, 2))).sum().backward()
    for gradient in (jax.grad(total)(_IMAGES), jax.jit(jax.grad(total))(_IMAGES)):
        np.testing.assert_allclose(gradient, given.grad.numpy(), atol=1e-5)
    module.zero_grad()
    each = jax.jit(jax.vmap(jax.grad(lambda image: jnp.sum(jnp.sin(model(2 * image[None]))))))(_IMAGES)
    np.testing.assert_allclose(each, given.grad.numpy(), atol=1e-5)


def test_a_module_is_left_as_it_was(module):
    model, wanted = from_torch(module), _own(module, _IMAGES)
    for parameter in module.parameters():
        parameter.grad = None
    module[0].bias.requires_grad_(False)
    statistics = module[1].running_mean.clone()
    try:
        # Training goes on between two looks of the referee.
        module.train()
        module[3].eval()
        np.testing.assert_allclose(jax.jit(model)(_IMAGES), wanted, atol=1e-5)
        with torch.no_grad():
            assert np.abs(jax.grad(lambda x: model(x).sum())(_IMAGES)).max() > 0
        assert [part.training for part in module] == [True, True, True, False, True, True]
        assert [p.requires_grad for p in module.parameters()] == [True, False, *[True] * 4]
        assert all(parameter.grad is None for parameter in module.parameters())
        assert torch.equal(statistics, module[1].running_mean)
    finally:
        module.eval()
        module[0].bias.requires_grad_(True)


def test_attacks_defences_and_certification_take_it(module):
    model, key = from_torch(module), jax.random.key(0)
    labels = _own(module, _IMAGES).argmax(1)
    moved = {
        "pgd": pgd(model, _IMAGES, labels, key, epsilon=0.1, num_steps=5),
        "apgd": apgd(model, _IMAGES, labels, key, epsilon=0.1, num_steps=5),
        "fab": fab(model, _IMAGES, labels, key, epsilon=0.1, num_steps=5, num_targets=2),
        "square": square(model, _IMAGES, labels, key, epsilon=0.1, num_queries=30),
    }
    for name, images in moved.items():
        assert np.abs(images - _IMAGES).max() <= 0.1 + 1e-6
        assert (_own(module, np.array(images)).argmax(1) != labels).mean() >= (0.1 if name == "square" else 0.5), name
    found = attack_defence(
        model, rounding_defence(32), _IMAGES, labels, key, epsilon=0.1, attacks=["apgd-ce"], num_steps=5,
        num_queries=5, num_draws=2,
    )  # fmt: skip
    assert found.robust.mean() <= 0.5
    # Through a smooth defence the chain rule passes on both sides of the callback.
    defence = smoothing_defence(0.5)
    through = jax.jit(jax.grad(lambda x: model(defence.forward(x)).sum()))(_IMAGES)
    after, pull = jax.vjp(defence.forward, jnp.asarray(_IMAGES))
    given = torch.from_numpy(np.array(after)).requires_grad_()
    module(given.permute(0, 3, 1, 2)).sum().backward()
    np.testing.assert_allclose(through, pull(jnp.asarray(given.grad.numpy()))[0], atol=1e-5)
    module.zero_grad()
    certificate = certify(model, _IMAGES[:2], key, sigma=0.05, n0=10, n=200, defence=defence, progress=False)
    assert certificate.counts.max() > 100


def test_the_linear_network_of_jax_gives_the_same_attack(patterns):
    network, images, labels = patterns
    weights = torch.from_numpy(np.array(network.args[0]).reshape(4, -1))
    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 4)).eval()
    with torch.no_grad():
        linear[1].weight.copy_(20 * weights)
        linear[1].bias.copy_(-10 * weights.sum(1))
    options = {"epsilon": 0.05, "num_steps": 5, "norm": "l2"}
    for channels_first in (True, False):
        model = from_torch(linear, channels_first=channels_first)
        ours, theirs = (pgd(f, images, labels, jax.random.key(1), **options) for f in (network, model))
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


class _Several(torch.nn.Module):
    def __init__(self, form):
        super().__init__()
        self.form = form

    def forward(self, images):
        return self.form(images.mean((2, 3)))


@pytest.mark.parametrize(
    ("form", "output", "said"),
    [
        (lambda x: (0, x), 1, "a tuple of 2"),
        (lambda x: {"logits": x, "loss": None}, "logits", "a dict of 'logits', 'loss'"),
        (lambda x: SimpleNamespace(logits=x), "logits", "a SimpleNamespace with the fields 'logits'"),
        (lambda x: [x, x], lambda found: found[0], "a list of 2"),
    ],
)
def test_adapt_takes_the_logits_out(form, output, said):
    module = _Several(form).eval()
    with pytest.raises(
        TypeError, match=rf"module must return .*{said}. isvs_jax.robustness.adapt\(from_torch\(module\)"
    ):
        from_torch(module)(_IMAGES)
    model = adapt(from_torch(module), mean=0.5, std=0.25, output=output)
    np.testing.assert_allclose(jax.jit(model)(_IMAGES), (_IMAGES.mean((1, 2)) - 0.5) / 0.25, atol=1e-5)
    moved = pgd(model, _IMAGES, np.zeros(6, int), jax.random.key(0), epsilon=0.1, num_steps=2)
    assert np.abs(moved - _IMAGES).max() > 0.05


def _refuse(function, error, said):
    with pytest.raises(error, match=said):
        function()


def test_what_is_wrong_with_a_module_is_said(module):
    _refuse(lambda: from_torch(lambda x: x), TypeError, "module must be a torch.nn.Module; got .*from_host")
    _refuse(lambda: from_torch(module, channels_first=1), TypeError, "channels_first must be True or False; got 1")
    training = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout()).eval()
    training[1].train()
    _refuse(lambda: from_torch(training), ValueError, r"evaluation mode; got training mode of 1. Call module.eval\(\)")
    nowhere = torch.nn.Linear(2, 2, device="meta").eval()
    _refuse(lambda: from_torch(nowhere), ValueError, "module must have all of its parameters on one device; got meta")
    grey = _IMAGES[..., :1]
    _refuse(lambda: from_torch(module)(grey), ValueError, r"module must take images of shape \(2, 1, 8, 8\)")
    wrong = from_torch(module, channels_first=False)
    _refuse(lambda: jax.jit(wrong)(_IMAGES), ValueError, r"images of shape \(2, 8, 8, 3\), as channels_first=False")
    for form in (lambda x: x[:1], lambda x: x.mean(1), lambda x: 3):
        flat = from_torch(_Several(form).eval())
        _refuse(lambda flat=flat: flat(_IMAGES), (ValueError, TypeError), r"module must return .*logits \[B, K\]")
    cut = from_torch(_Several(lambda x: x.detach()).eval())
    attack = {"labels": np.zeros(6, int), "key": jax.random.key(0), "epsilon": 0.1}
    _refuse(lambda: pgd(cut, _IMAGES, **attack), TypeError, "module must be differentiable by torch.autograd")
    _refuse(
        lambda: evaluate(cut, _IMAGES, np.zeros(6, int), jax.random.key(0), name="m", attacks=Attacks(("apgd-ce",))),
        TypeError,
        "attacks and checks must be .*torch.autograd",
    )
    _refuse(lambda: adapt(from_torch(module), channels_first=True), ValueError, "channels_first must be False")
    for taken in (adapt, from_host):
        _refuse(lambda taken=taken: taken(module), TypeError, r"PyTorch module Sequential. .*from_torch\(module\)")
    _refuse(lambda: pgd(module, _IMAGES, **attack), TypeError, r"logits_fn must be .*from_torch\(module\)")
    _refuse(
        lambda: evaluate(module, _IMAGES, np.zeros(6, int), jax.random.key(0), name="m"),
        TypeError,
        r"logits_fn must be .*from_torch\(module\)",
    )


def test_half_precision_and_weights_that_change(module):
    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 3)).to(torch.bfloat16).eval()
    model = jax.jit(from_torch(linear))
    first = model(_IMAGES)
    assert first.dtype == jnp.float32
    with torch.no_grad():
        linear[1].bias += 4.0
    np.testing.assert_allclose(model(_IMAGES), first + 4.0, atol=0.1)


def test_large_batches_do_not_wait_for_themselves():
    """The callback works on its buffers: it asks nothing of the threads that wait for it."""
    program = """
        import jax, jax.numpy as jnp, torch
        from isvs_jax.robustness import from_torch

        torch.manual_seed(0)
        module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, stride=4), torch.nn.Flatten(), torch.nn.Linear(1024, 10))
        model = from_torch(module.eval())
        images = jnp.full((64, 64, 64, 3), 0.5)

        @jax.jit
        def steps(images):
            gradient = jax.grad(lambda x: jnp.sum(jnp.square(model(1.001 * x))))
            return jax.lax.fori_loop(0, 4, lambda _, x: x + 1e-3 * jnp.sign(gradient(x)), images)

        # Several calls are on their way at once, so that one is called back while others are dispatched.
        for _ in range(4):
            images = steps(images)
        print(float(images.mean()))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=240, check=True
    )
    assert 0.4 < float(done.stdout) < 0.6


def test_double_precision(module):
    with jax.enable_x64(True):
        images = jnp.asarray(_IMAGES, jnp.float64)
        logits, pull = jax.vjp(jax.jit(from_torch(module)), images)
        (gradient,) = pull(jnp.ones_like(logits))
    assert logits.dtype == gradient.dtype == jnp.float64
    np.testing.assert_allclose(logits, _own(module, _IMAGES), atol=1e-5)
