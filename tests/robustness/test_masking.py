"""What masks of examples say of hidden gradients."""

import numpy as np

from isvs_jax.robustness.adaptive import WAYS, masking_warnings


def test_what_the_masks_say():
    full, none = np.ones(10, bool), np.zeros(10, bool)
    sound = {"clean": full, **dict.fromkeys(WAYS, none)}
    assert masking_warnings(sound) == []
    late = {"clean": full, **dict.fromkeys(WAYS[:4], full), "square": none, "noise": none}
    sentences = masking_warnings(late)
    assert len(sentences) == 2
    assert "square, which asks for no gradient, broke 100.0%" in sentences[1]
    assert "identity" in masking_warnings({"clean": full, "unrolled": none})[0]
