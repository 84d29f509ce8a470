"""Import from PyTorch, against a ResNet written in PyTorch."""

import os
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from isvs_jax.models import ResNet, logits_fn
from isvs_jax.models.pytorch import export_names, import_resnet, read_state_dict

DATA = Path(os.environ.get("ISVS_JAX_DATA", Path(__file__).parents[3] / "shared" / "data"))


def pytorch_logits(state_dict: dict[str, Any], images: np.ndarray, model: ResNet) -> np.ndarray:
    """The network of the paper in torch.nn.functional, straight from the state dict."""
    torch = pytest.importorskip("torch", reason="the reference is PyTorch, which no extra installs")
    functional = torch.nn.functional
    weights = {name: torch.tensor(np.asarray(array)) for name, array in state_dict.items()}

    def normalised(hidden: Any, name: str) -> Any:
        statistics = [weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        return functional.batch_norm(hidden, *statistics, training=False, eps=1e-5)

    def convolved(hidden: Any, name: str, number: int, stride: int) -> Any:
        hidden = functional.conv2d(hidden, weights[f"{name}conv{number}.weight"], stride=stride, padding=1)
        return normalised(hidden, f"{name}bn{number}")

    hidden = torch.tensor(images).permute(0, 3, 1, 2)
    hidden = (hidden - torch.tensor(model.mean).reshape(-1, 1, 1)) / torch.tensor(model.std).reshape(-1, 1, 1)
    hidden = torch.relu(convolved(hidden, "", 1, 1))
    for stage in (1, 2, 3):
        for number in range((model.depth - 2) // 6):
            stride, name = 2 if stage > 1 and number == 0 else 1, f"layer{stage}.{number}."
            shortcut = hidden
            if stride == 2:
                extra = hidden.shape[1] // 2
                shortcut = functional.pad(hidden[:, :, ::2, ::2], (0, 0, 0, 0, extra, extra))
            inner = torch.relu(convolved(hidden, name, 1, stride))
            hidden = torch.relu(convolved(inner, name, 2, 1) + shortcut)
    return functional.linear(hidden.mean((2, 3)), weights["linear.weight"], weights["linear.bias"]).numpy()


def random_state_dict(model: ResNet, seed: int) -> dict[str, np.ndarray]:
    """Every array drawn, so that a swap of any two would show."""
    rng = np.random.default_rng(seed)
    shapes = jax.eval_shape(model.init, jax.random.key(0), np.zeros((1, 32, 32, 3), np.float32))
    drawn = jax.tree.map(lambda leaf: rng.normal(0, 0.1, leaf.shape).astype(np.float32), shapes)
    return {name: abs(array) + 1 if "running_var" in name else array for name, array in export_names(drawn).items()}


def test_logits_equal_pytorch_s() -> None:
    model = ResNet(depth=8, num_classes=7, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
    state_dict = random_state_dict(model, 0)
    images = np.random.default_rng(1).random((3, 16, 16, 3), np.float32)
    ours = logits_fn(model, import_resnet(state_dict, model))(images)
    reference = pytorch_logits(state_dict, images, model)
    assert np.abs(reference).max() > 0.1  # the comparison has something to compare
    np.testing.assert_allclose(ours, reference, atol=1e-5)


def test_published_checkpoint_gives_pytorch_s_logits() -> None:
    path = DATA / "zoo" / "resnet20-12fca82f.th"
    pytest.importorskip("torch", reason="the checkpoint is read by PyTorch, which no extra installs")
    if not path.is_file():
        pytest.skip(f"the published ResNet-20 is not in {path.parent}")
    model, state_dict = ResNet(depth=20), read_state_dict(path)
    images = np.random.default_rng(2).random((4, 32, 32, 3), np.float32)
    ours = logits_fn(model, import_resnet(state_dict, model))(images)
    np.testing.assert_allclose(ours, pytorch_logits(state_dict, images, model), atol=1e-4)


def test_a_written_checkpoint_is_read(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="the checkpoint is written by PyTorch, which no extra installs")
    model = ResNet(depth=8)
    state_dict = random_state_dict(model, 3)
    named = {f"module.{name}": torch.tensor(array) for name, array in state_dict.items()}
    named["module.bn1.num_batches_tracked"] = torch.tensor(7)
    torch.save({"state_dict": named, "best": 0.9}, tmp_path / "model.th")
    read = read_state_dict(tmp_path / "model.th")
    import_resnet(read, model)  # the counter has no place in the network, and need not have
    assert all((read[name] == array).all() for name, array in state_dict.items())


def test_a_state_dict_of_another_network_is_refused() -> None:
    model = ResNet(depth=8)
    state_dict = random_state_dict(model, 4)
    with pytest.raises(ValueError, match=r"depth 14.*layer1\.1\.bn1\.running_mean is missing"):
        import_resnet(state_dict, ResNet(depth=14))
    with pytest.raises(ValueError, match=r"linear\.weight has shape \(10, 64\)"):
        import_resnet(state_dict, ResNet(depth=8, num_classes=5))
    with pytest.raises(ValueError, match=r"shortcut\.weight has no place"):
        import_resnet(state_dict | {"layer2.0.shortcut.weight": np.zeros((32, 16, 1, 1))}, model)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.th"):
        read_state_dict(tmp_path / "none.th")


@pytest.mark.parametrize("content", [b"text", b"", b'{"a": 1}'])
def test_a_file_of_something_else_is_refused(content: bytes, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="files are read by PyTorch, which no extra installs")
    (tmp_path / "weights.pt").write_bytes(content)
    with pytest.raises(ValueError, match=r"must be a checkpoint of arrays written by torch\.save; got .*weights\.pt"):
        read_state_dict(tmp_path / "weights.pt")
