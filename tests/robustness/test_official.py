"""The loaders, on small files in the published formats."""

import hashlib
import importlib.util
import io
import warnings

import numpy as np
import pytest

from isvs_jax.robustness import (
    CORRUPTIONS,
    VALIDATION_CORRUPTIONS,
    _published,
    list_imagenet_c,
    load_cifar_c,
    load_imagenet_c,
    load_tfds,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_cifar_c(tmp_path, rng):
    images = rng.integers(0, 256, (5 * 4, 32, 32, 3)).astype(np.uint8)
    labels = np.tile(np.array([3, 8, 8, 0], np.uint8), 5)
    np.save(tmp_path / "fog.npy", images)
    np.save(tmp_path / "labels.npy", labels)
    for severity in range(1, 6):
        loaded = load_cifar_c(tmp_path, "fog", severity)
        np.testing.assert_array_equal(loaded.images, images[4 * severity - 4 : 4 * severity])
        assert loaded.labels.tolist() == [3, 8, 8, 0]
        assert loaded.source == "unverified"
    part = load_cifar_c(tmp_path, "fog", 2, start=1, count=2)
    np.testing.assert_array_equal(part.images, images[5:7])
    assert part.labels.tolist() == [8, 8]
    assert len(load_cifar_c(tmp_path, "fog", 1, start=3, count=9).images) == 1
    with pytest.raises(FileNotFoundError, match=r"snow.npy is missing: fetch CIFAR-10-C.tar from https://zenodo"):
        load_cifar_c(tmp_path, "snow", 1)
    with pytest.raises(ValueError, match="severity must be an integer from 1 to 5; got 6"):
        load_cifar_c(tmp_path, "fog", 6)
    with pytest.raises(ValueError, match="name must be one of 'gaussian_noise'"):
        load_cifar_c(tmp_path, "mist", 1)
    np.save(tmp_path / "labels.npy", np.arange(20) % 10)
    with pytest.raises(ValueError, match=r"labels.npy must hold the same labels for each severity"):
        load_cifar_c(tmp_path, "fog", 1)
    np.save(tmp_path / "labels.npy", labels[:-1])
    with pytest.raises(ValueError, match="5 times as many images and labels"):
        load_cifar_c(tmp_path, "fog", 1)
    np.save(tmp_path / "fog.npy", images / 255)
    with pytest.raises(ValueError, match="uint8"):
        load_cifar_c(tmp_path, "fog", 1)
    (tmp_path / "fog.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(ValueError, match=r"fog.npy must be a whole .npy file"):
        load_cifar_c(tmp_path, "fog", 1)


def test_only_what_has_the_published_checksums_is_official(tmp_path, rng, monkeypatch):
    images = {name: rng.integers(0, 256, (5 * 4, 32, 32, 3)).astype(np.uint8) for name in ("fog", "snow")}
    for name, array in images.items():
        np.save(tmp_path / f"{name}.npy", array)
    np.save(tmp_path / "labels.npy", np.tile(np.arange(4), 5))
    sums = {
        name: hashlib.md5((tmp_path / f"{name}.npy").read_bytes()).hexdigest() for name in ("fog", "snow", "labels")
    }
    other = {"labels": "0" * 32, "fog": sums["fog"]}
    monkeypatch.setattr(_published, "FILES", {"CIFAR-10-C": other, "CIFAR-100-C": sums})
    assert load_cifar_c(tmp_path, "fog", 1).source == "official"
    # Another byte, and the images of one set with the labels of the other, are not.
    images["fog"][7, 3, 3, 0] ^= 1
    np.save(tmp_path / "fog.npy", images["fog"])
    assert load_cifar_c(tmp_path, "fog", 1).source == "unverified"
    assert load_cifar_c(tmp_path, "snow", 1).source == "official"
    monkeypatch.setattr(_published, "FILES", {"CIFAR-10-C": {"labels": sums["labels"]}, "CIFAR-100-C": other})
    assert load_cifar_c(tmp_path, "snow", 1).source == "unverified"


def test_the_checksums_are_of_all_corruptions():
    for files in _published.FILES.values():
        assert set(files) == {*CORRUPTIONS, *VALIDATION_CORRUPTIONS, "labels"}
        assert len(set(files.values())) == 20
        assert all(len(bytes.fromhex(text)) == 16 for text in files.values())


@pytest.mark.parametrize("inside", ["", "blur"])
def test_imagenet_c(inside, tmp_path, rng):
    picture = pytest.importorskip("PIL.Image", reason="ImageNet-C is JPEG files")
    names = {"n02": [1, 4], "n01": [2, 3]}
    for wnid, numbers in names.items():
        folder = tmp_path / inside / "zoom_blur" / "3" / wnid
        folder.mkdir(parents=True)
        for number in numbers:
            image = np.full((224, 224, 3), 40 * number, np.uint8)
            picture.fromarray(image).save(folder / f"ILSVRC2012_val_{number:08d}.JPEG")
    loaded = load_imagenet_c(tmp_path, "zoom_blur", 3, num_classes=2)
    assert loaded.images.shape == (4, 224, 224, 3)
    assert loaded.labels.tolist() == [1, 0, 0, 1]
    np.testing.assert_array_equal(loaded.images[:, 0, 0, 0], [40, 80, 120, 160])
    assert loaded.source == "unverified"
    part = load_imagenet_c(tmp_path, "zoom_blur", 3, start=1, count=2, num_classes=2)
    np.testing.assert_array_equal(part.images, loaded.images[1:3])
    np.testing.assert_array_equal(part.labels, [0, 0])
    with pytest.raises(ValueError, match="folders of 1000 classes; got 2"):
        load_imagenet_c(tmp_path, "zoom_blur", 3)
    with pytest.raises(ValueError, match="start must be an integer from 0 to 3; got 4"):
        load_imagenet_c(tmp_path, "zoom_blur", 3, start=4, num_classes=2)
    for name, archive in (("zoom_blur", "blur"), ("spatter", "extra"), ("fog", "weather")):
        with pytest.raises(FileNotFoundError, match=rf"is missing: fetch {archive}.tar from https://zenodo"):
            list_imagenet_c(tmp_path, name, 4)
    picture.new("RGB", (200, 224)).save(tmp_path / inside / "zoom_blur" / "3" / "n01" / "a.JPEG")
    with pytest.raises(ValueError, match="must have one size"):
        load_imagenet_c(tmp_path, "zoom_blur", 3, num_classes=2)


def test_imagenet_c_must_have_fifty_images_of_each_class(tmp_path):
    for number in range(1000):
        folder = tmp_path / "fog" / "1" / f"n{number:08d}"
        folder.mkdir(parents=True)
        (folder / f"ILSVRC2012_val_{number:08d}.JPEG").touch()
    with pytest.raises(ValueError, match="50,000 images, 50 of each of 1000 classes; got 1,000 of 1000 classes"):
        list_imagenet_c(tmp_path, "fog", 1)


def test_tfds(tmp_path, rng):
    """A small cifar10_corrupted, written by TFDS itself under the name that TFDS gives to glass blur."""
    if importlib.util.find_spec("tensorflow_datasets") is None:
        pytest.skip("tensorflow-datasets is in the train extra")
    picture = pytest.importorskip("PIL.Image", reason="TFDS without TensorFlow decodes by Pillow")
    images = rng.integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)

    def png(image: np.ndarray) -> bytes:
        stream = io.BytesIO()
        picture.fromarray(image).save(stream, "PNG")
        return stream.getvalue()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of TFDS's own imports
        import tensorflow_datasets as tfds
        from tensorflow_datasets.image_classification import cifar10_corrupted

        with tfds.core.registered.skip_registration():

            class Cifar10Corrupted(cifar10_corrupted.Cifar10Corrupted):
                """The published builder with other images."""

                name = "cifar10_corrupted"

                def _split_generators(self, dl_manager):
                    return {"test": self._generate_examples()}

                def _generate_examples(self):
                    for index, image in enumerate(images):
                        yield index, {"image": png(image), "label": index}

        builder = Cifar10Corrupted(data_dir=tmp_path, config="frosted_glass_blur_2", file_format="array_record")
        builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
        loaded = load_tfds("cifar10_corrupted", "glass_blur", 2, data_dir=tmp_path)
        part = load_tfds("cifar10_corrupted", "glass_blur", 2, data_dir=tmp_path, start=4, count=5)
    order = loaded.labels  # TFDS shuffles when it writes
    assert sorted(order) == list(range(6))
    np.testing.assert_array_equal(loaded.images, images[order])
    # Of the 10,000 images that the published set has, six are here.
    assert loaded.source == "unverified"
    np.testing.assert_array_equal(part.images, loaded.images[4:])


def test_tfds_not_prepared(tmp_path):
    for name in CORRUPTIONS[:2]:
        with pytest.raises(
            FileNotFoundError, match=f"cifar10_corrupted/{name}_1.* holds no array_record files: prepare"
        ):
            load_tfds("cifar10_corrupted", name, 1, data_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match="imagenet2012_corrupted/glass_blur_5"):
        load_tfds("imagenet2012_corrupted", "glass_blur", 5, data_dir=tmp_path)
    with pytest.raises(ValueError, match="dataset must be one of 'cifar10_corrupted'"):
        load_tfds("cifar100_corrupted", "fog", 1, data_dir=tmp_path)
