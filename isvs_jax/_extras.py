"""The packages that come with an extra: where one is missing, one sentence says what to install."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, NoReturn

# The name of each package and the least extra that it comes with, where it is imported by name; all come with "train".
_EXTRAS = {
    "PIL": ("Pillow", "photo"),
    "matplotlib": ("matplotlib", "plot"),
    "etils": ("etils", "train"),
    "flax": ("flax", "train"),
    "grain": ("grain", "train"),
    "importlib_resources": ("importlib_resources", "train"),
    "optax": ("optax", "train"),
    "orbax": ("orbax-checkpoint", "train"),
    "sklearn": ("scikit-learn", "train"),
    "tensorboardX": ("tensorboardX", "train"),
    "tensorflow_datasets": ("tensorflow-datasets", "train"),
    "tqdm": ("tqdm", "photo"),
    "tyro": ("tyro", "train"),
}


def missing(error: ModuleNotFoundError, extra: str | None = None) -> str:
    """The sentence for a missing package of an extra; the error's own words for any other module.

    Args:
        error: What an import raised.
        extra: The extra to name, that of the command that runs; None names the least one with this package.

    >>> missing(ModuleNotFoundError("No module named 'flax'", name="flax"))
    'flax is not installed: pip install "isvs_jax[train]"'
    """
    package = (error.name or "").partition(".")[0]
    # A sentence that says what to install already knows more than the table.
    if package not in _EXTRAS or "pip install" in str(error):
        return str(error)
    name, least = _EXTRAS[package]
    return f'{name} is not installed: pip install "isvs_jax[{extra or least}]"'


def optional(module: str) -> Any:
    """Import a module that comes with an extra.

    Args:
        module: The full name of the module, such as "PIL.Image".

    Returns:
        The module.

    Raises:
        ModuleNotFoundError: It is not installed; the message is one sentence with the command to type.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(missing(error), name=error.name) from None


def unavailable(error: ModuleNotFoundError) -> Callable[[str], NoReturn]:
    """The `__getattr__` of a package that an extra is missing for: any name asked of it says what to install.

    So the package itself can be imported, which `python -m` does before its command can end with a sentence.

    Args:
        error: What importing the names of the package raised.

    Raises:
        ModuleNotFoundError: `error`, where the missing module belongs to no extra.
    """
    if (error.name or "").partition(".")[0] not in _EXTRAS:
        raise error
    sentence, module = missing(error), error.name

    def __getattr__(name: str) -> NoReturn:
        # Python itself asks for names such as __path__, and takes an AttributeError for a no.
        if name.startswith("__"):
            raise AttributeError(name)
        raise ModuleNotFoundError(sentence, name=module)

    return __getattr__
