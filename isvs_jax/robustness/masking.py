"""Gradient masking: what the ways of attacking a defence say of each other's gradients."""

from __future__ import annotations

import numpy as np

from isvs_jax.robustness.ways import GRADIENT_FREE, WAYS

# Share of examples that a way may break after the plain gradient has failed on them without being remarked on.
_HIDDEN_SHARE = 0.01


def masking_warnings(masks: dict[str, np.ndarray]) -> list[str]:
    """What the masks of `attack_defence` say of hidden gradients, as sentences.

    >>> import numpy as np
    >>> masks = {"clean": np.ones(4, bool), "unrolled": np.ones(4, bool), "identity": np.zeros(4, bool)}
    >>> [sentence.split(":")[0] for sentence in masking_warnings(masks)]
    ['the gradient through the defence is masked', 'the figure is no worst case']
    """
    names = [name for name in masks if name in WAYS]
    if "unrolled" not in names:
        return ["the gradient through the defence itself was not tried: the figure is no worst case."]
    warnings = []
    plain, worst = masks["unrolled"].mean(), masks[names[-1]].mean()
    hidden = masks["clean"].mean() > 0 and plain - worst > _HIDDEN_SHARE + 1e-9
    if hidden:
        warnings.append(
            f"the gradient through the defence is masked: {plain:.1%} hold against it, {worst:.1%} against all ways. "
            "An attack that uses that gradient alone overstates the robustness."
        )
    before = "clean"
    for name in names:
        gained = masks[before].mean() - masks[name].mean()
        if name in GRADIENT_FREE and gained > _HIDDEN_SHARE + 1e-9:
            warnings.append(
                f"{name}, which asks for no gradient, broke {gained:.1%} of all examples after the ways before it had "
                "failed: the gradient attacks are too weak here, and the figure may still be too high."
            )
        before = name
    missing = [way for way in WAYS if way not in names]
    if missing:
        warnings.append(f"the figure is no worst case: {', '.join(missing)} left out.")
    return warnings
