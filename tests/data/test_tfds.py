import importlib.util
import io
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from isvs_jax import data

tfds = pytest.importorskip("tensorflow_datasets")


def test_a_set_that_is_not_prepared_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"cifar10 is not prepared in .*pip install tensorflow"):
        data.load("tfds:cifar10", data_dir=tmp_path)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    sentence = r'^tensorflow-datasets is not installed: pip install "isvs_jax\[train\]"$'
    with pytest.raises(ModuleNotFoundError, match=sentence):
        data.load("tfds:cifar10")


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (6, 6), (value, value, value)).save(buffer, "PNG")
    return buffer.getvalue()  # encoded here: TFDS itself would need TensorFlow to encode an array


def prepare(folder: Path, set_name: str, splits: dict[str, int], feature: str = "image") -> None:
    """A small set, written by TFDS itself: even examples dark, odd ones light."""

    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")
        name = set_name

        def _info(self):  # type: ignore[no-untyped-def]
            features = {
                feature: tfds.features.Image(shape=(6, 6, 3), encoding_format="png"),
                "label": tfds.features.ClassLabel(names=["dark", "light"]),
            }
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, dl_manager):  # type: ignore[no-untyped-def]
            return {split: self._generate_examples(count) for split, count in splits.items()}

        def _generate_examples(self, count):  # type: ignore[no-untyped-def,override]
            for index in range(count):
                yield index, {feature: png(100 * (index % 2) + index), "label": index % 2}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TFDS warns of its own matters when it writes
        Builder(data_dir=folder, file_format="array_record").download_and_prepare()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tfds")
    prepare(folder, "shades", {"train": 12, "test": 4})
    prepare(folder, "shades_mnist", {"train": 20})
    prepare(folder, "odd", {"train": 4}, feature="picture")
    return folder


def test_a_prepared_set_is_read_without_tensorflow(prepared: Path) -> None:
    found = data.load("tfds:shades", data_dir=prepared, progress=False)
    assert "tensorflow" not in sys.modules
    assert (len(found.train), len(found.test)) == (12, 4)
    assert found.class_names == ("dark", "light")
    assert found.mirror
    for part in (found.train, found.test):
        np.testing.assert_array_equal(part.images[:, 0, 0, 0] >= 100, part.labels == 1)
    limited = data.load("tfds:shades:1.0.0", data_dir=prepared, limit_train=5, limit_test=2, progress=False)
    assert (len(limited.train), len(limited.test)) == (5, 2)
    assert data.load("tfds:shades", data_dir=prepared, image_size=3, progress=False).image_shape == (3, 3, 3)


def test_a_set_without_a_test_split_is_split(prepared: Path) -> None:
    found = data.load("tfds:shades_mnist", data_dir=prepared, progress=False)
    assert (len(found.train), len(found.test)) == (16, 4)
    assert not found.mirror


def test_a_set_without_images_is_refused(prepared: Path) -> None:
    with pytest.raises(ValueError, match="must have the features image and label; got features label, picture"):
        data.load("tfds:odd", data_dir=prepared)


@pytest.mark.parametrize("name", ["shades", "shades_mnist"])
@pytest.mark.parametrize("image_size", [None, 3])
def test_prepared_as_arrays_it_is_the_same(prepared: Path, tmp_path: Path, name: str, image_size: int | None) -> None:
    options = {"data_dir": prepared, "image_size": image_size, "progress": False}
    folder = data.prepare(f"tfds:{name}", tmp_path / "out", **options)
    found, expected = data.load(f"prepared:{folder}"), data.load(f"tfds:{name}", **options)
    assert "tensorflow" not in sys.modules
    assert (found.name, found.class_names, found.mirror) == (expected.name, expected.class_names, expected.mirror)
    for one, two in ((found.train, expected.train), (found.test, expected.test)):
        np.testing.assert_array_equal(one.images, two.images)
        np.testing.assert_array_equal(one.labels, two.labels)


def test_the_real_cifar10_where_it_is_at_hand() -> None:
    root = os.environ.get("ISVS_JAX_TFDS")
    if root is None or not Path(root, "cifar10_local").is_dir():
        pytest.skip("set ISVS_JAX_TFDS to a folder in which TFDS keeps cifar10_local")
    found = data.load("tfds:cifar10_local", data_dir=root, limit_train=100, limit_test=50, progress=False)
    assert found.image_shape == (32, 32, 3)
    assert found.class_names[:2] == ("airplane", "automobile")
