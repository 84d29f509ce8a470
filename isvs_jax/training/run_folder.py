"""The folder of a run belongs to one configuration."""

import json
import os
from pathlib import Path
from typing import Any

from isvs_jax._files import write_atomically

FILE = "config.json"


class ConfigurationChangedError(ValueError):
    """A folder holds results of another configuration."""


def claim(folder: str | os.PathLike[str], config: dict[str, Any], *, write: bool = True) -> bool:
    """Take a folder for a configuration, which is written into it as config.json.

    Args:
        folder: Made where it does not exist.
        config: Values that JSON can hold.
        write: Whether this process writes; of several, one does.

    Returns:
        Whether the folder held the same configuration already, so that what is in it may be used again.

    Raises:
        ConfigurationChangedError: The folder holds another configuration; the message shows the difference. Or it holds
            files but no configuration.
    """
    folder = Path(folder)
    file = folder / FILE
    wanted = json.loads(json.dumps(config))
    if file.exists():
        changes = difference(json.loads(file.read_text()), wanted)
        if changes:
            raise ConfigurationChangedError(
                f"{folder} holds a run of another configuration:\n"
                + "".join(f"  {line}\n" for line in changes)
                + "Give another folder, or delete this one."
            )
        return True
    # What a kill left while this very file was written is nobody's.
    partial = f".{FILE}.*.partial"
    if folder.exists() and (not folder.is_dir() or any(not file.match(partial) for file in folder.iterdir())):
        raise ConfigurationChangedError(
            f"{folder} exists and is not the folder of a run (it has no {FILE}). Give another folder."
        )
    if not write:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(wanted, indent=2, ensure_ascii=False) + "\n")
    return False


def difference(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """One line for each setting that differs, nested ones with their path.

    Example:
        >>> difference({"epochs": 5, "data": "digits"}, {"epochs": 6, "data": "digits"})
        ['epochs: 5 there, 6 asked for']
    """
    lines = []
    for name in sorted(old.keys() | new.keys()):
        there, asked = old.get(name, "nothing"), new.get(name, "nothing")
        if isinstance(there, dict) and isinstance(asked, dict):
            lines += difference(there, asked, f"{prefix}{name}.")
        elif there != asked:
            lines.append(f"{prefix}{name}: {there} there, {asked} asked for")
    return lines
