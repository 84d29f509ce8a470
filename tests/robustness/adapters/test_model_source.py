"""Models of any kind, as a command line names them."""

import jax
import numpy as np
import pytest

from isvs_jax.models import PreActResNet18, WideResNet
from isvs_jax.models.pytorch import export_names
from isvs_jax.robustness.evaluation.model_source import find_model
from isvs_jax.robustness.evaluation.options import Evaluation, StateDict, parse
from tests.models.drawing import drawn

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

_MODELS = """
import numpy as np, torch
from isvs_jax.robustness import adapt, from_host, from_torch

class Network(torch.nn.Module):
    def forward(self, images):
        return {"logits": images.mean((2, 3))}

network = Network().eval()
adapted = adapt(from_torch(network), mean=0.5, output="logits")
in_numpy = from_host(lambda images: images.mean((1, 2)) - 0.5)

def load(shift="0.5"):
    return adapt(from_torch(network), mean=float(shift), output="logits")
"""


def test_the_command_takes_what_the_adapters_return(tmp_path):
    file = tmp_path / "models.py"
    file.write_text(_MODELS)
    images = np.random.default_rng(0).random((4, 3, 3, 3), np.float32)
    for name, arguments in (("adapted", ()), ("in_numpy", ()), ("load", ()), ("load", ("0.5",))):
        chosen = Evaluation(tmp_path, model=f"{file}:{name}", model_arguments=arguments)
        found = find_model(chosen, 3)
        assert found.parameters is None
        np.testing.assert_allclose(jax.jit(found.logits_fn)(images), images.mean((1, 2)) - 0.5, atol=1e-6)


def test_networks_of_others_by_name(tmp_path, monkeypatch):
    small = {
        "wrn28_10_silu": WideResNet(10, 1, 5, (0.4,), (0.2,), activation="silu", border="end"),
        "preact_resnet18": PreActResNet18(5, (1, 1), 4),
    }
    monkeypatch.setattr("isvs_jax.models.build", lambda name, num_classes: small[name])
    images = np.random.default_rng(0).random((2, 8, 8, 3), np.float32)
    for name, model in small.items():
        variables = drawn(model, (8, 8, 3))
        weights = {key: torch.from_numpy(np.array(value)) for key, value in export_names(variables).items()}
        if name.endswith("silu"):
            weights["init_conv.weight"] = weights.pop("conv1.weight")
        torch.save({"state_dict": {f"module.{key}": value for key, value in weights.items()}}, tmp_path / "weights.pt")
        statistics = {} if name.endswith("silu") else {"mean": (0.1, 0.2, 0.3), "std": (0.5, 0.6, 0.7)}
        chosen = Evaluation(tmp_path, pytorch=StateDict(tmp_path / "weights.pt", name, **statistics))
        found = find_model(chosen, 5)
        assert found.name == name
        assert ("mean 0.4 and std 0.2" if name.endswith("silu") else "mean 0.1 0.2 0.3") in found.preprocessing
        wanted = model.clone(**statistics).apply(variables, images)
        np.testing.assert_allclose(found.logits_fn(images), wanted, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r"pytorch.network must be one of .*'wrn28_10_silu'.*; got 'vit_tiny'"):
        find_model(Evaluation(tmp_path, pytorch=StateDict(tmp_path / "weights.pt", "vit_tiny")), 5)


def test_the_options_of_a_network():
    words = ["--pytorch.file", "x.pt", "--pytorch.network", "wrn28_10", "--pytorch.mean", "0", "--pytorch.std", "1"]
    chosen = parse(["evaluate", "--out", "x", *words]).pytorch
    assert (chosen.network, chosen.mean, chosen.std) == ("wrn28_10", (0.0,), (1.0,))
    assert parse(["evaluate", "--out", "x", "--pytorch.file", "x.pt"]).pytorch.mean is None
