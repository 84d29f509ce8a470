"""The model that a command line names: a function of a module or a file, or the weights of a ResNet."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import jax

from isvs_jax._checks import brief, check_choice
from isvs_jax.robustness.evaluation.options import Certification, Evaluation, StateDict

_WHAT = "model must be MODULE:FUNCTION or FILE.py:FUNCTION, such as my_package.my_model:load"
_NEEDED = (
    "It must be a function of images float32 [B, H, W, C] in [0, 1] to logits [B, K], or return such a function when "
    "it is called without arguments or with those of --model-arguments."
)


class ModelSource(NamedTuple):
    """A model with what a report says of it."""

    logits_fn: Callable[..., jax.Array]
    parameters: Any
    preprocessing: str
    name: str


def find_model(chosen: Evaluation | Certification, num_classes: int) -> ModelSource:
    """The model of a command line.

    Raises:
        ValueError: Neither or both of --model and --pytorch.file are given, or there is nothing of that name.
        TypeError: What is there is no model.
    """
    if (chosen.model is None) == (chosen.pytorch.file is None):
        both = "both" if chosen.model is not None else "neither"
        raise ValueError(f"model must be given as --model or as --pytorch.file; got {both}. {_NEEDED}")
    if chosen.model is None:
        assert chosen.pytorch.file is not None
        return _from_pytorch(chosen.pytorch.file, chosen.pytorch, num_classes)
    made = _model_of(_named(chosen.model), chosen.model, chosen.model_arguments)
    arrays = [leaf for leaf in jax.tree.leaves(made) if isinstance(leaf, jax.Array)]
    return ModelSource(made, arrays or None, "", " ".join([chosen.model, *chosen.model_arguments]))


def _named(given: str) -> Any:
    """What a module or file has of a name."""
    place, _, function = given.rpartition(":")
    if not place or not function:
        raise ValueError(f"{_WHAT}; got {given!r}.")
    module = _loaded(place)
    if not hasattr(module, function):
        raise ValueError(f"model must name a function of {place}; got {function!r}, which it does not have.")
    return getattr(module, function)


def _loaded(place: str) -> ModuleType:
    """A module by its name, or from a file."""
    try:
        if not place.endswith(".py"):
            return importlib.import_module(place)
        file = Path(place)
        if not file.is_file():
            raise FileNotFoundError(f"{_WHAT}; got {place}, which is not there.")
        specification = importlib.util.spec_from_file_location(file.stem, file)
        assert specification is not None
        assert specification.loader is not None
        module = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(module)
        return module
    except ModuleNotFoundError as error:
        # A package that the module itself needs is another matter.
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise
        raise ValueError(f"{_WHAT}, that Python finds; got {place}: {error}.") from error


def _model_of(found: Any, given: str, arguments: Sequence[str]) -> Callable[..., jax.Array]:
    """The model, or what the function returns that was named."""
    if not callable(found):
        raise TypeError(f"model must name a function; got {brief(found)} from {given}. {_NEEDED}")
    required = _required(found)
    if not arguments and required == 1:
        return found
    if not arguments and required:
        raise TypeError(f"model must be a function of images alone; got {given} with {required} arguments. {_NEEDED}")
    made = found(*arguments)
    if not callable(made):
        raise TypeError(f"model must return a function of images to logits; got {brief(made)} from {given}. {_NEEDED}")
    return made


def _required(function: Callable[..., Any]) -> int:
    """How many arguments without a default a function has; 1 where Python does not know."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return 1
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [entry for entry in parameters if entry.kind in by_place and entry.default is entry.empty]
    # A call of any arguments, as of a pytree or a wrapped function, takes images.
    return len(needed) or int(any(entry.kind is entry.VAR_POSITIONAL for entry in parameters))


def _from_pytorch(file: Path, weights: StateDict, num_classes: int) -> ModelSource:
    from isvs_jax.models import MODELS, ResNet, build, import_resnet, logits_fn, read_state_dict

    if weights.network is None:
        model: Any = ResNet(depth=weights.depth, num_classes=num_classes)
    else:
        check_choice("pytorch.network", weights.network, _of_pytorch(MODELS))
        model = build(weights.network, num_classes)
    statistics = {"mean": weights.mean, "std": weights.std}
    model = model.clone(**{name: values for name, values in statistics.items() if values is not None})
    variables = import_resnet(read_state_dict(file), model)
    mean, std = (" ".join(f"{value:g}" for value in values) for values in (model.mean, model.std))
    preprocessing = f"(x − mean)/std with mean {mean} and std {std}"
    return ModelSource(
        logits_fn(model, variables), variables, preprocessing, weights.network or f"ResNet-{weights.depth}"
    )


def _of_pytorch(names: Sequence[str]) -> list[str]:
    """The names of the networks that take weights from PyTorch."""
    return [name for name in names if name.startswith(("resnet", "wrn", "preact"))]
