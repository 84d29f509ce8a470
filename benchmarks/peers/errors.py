"""How far an outcome is from the flow: ‖u − referee‖/‖x − mean x‖ in percent, image by image.

The referee is the reduced flow by Euler steps of the scheme "spectral" 16 times smaller than the default ones, in
float64. The textbook scheme lets u descend at the rate κ instead of solving for it, so it follows a flow of its own:
its distance to the reduced flow does not vanish with its step. How well it follows its own is told apart, against
itself with a step 16 times smaller.
"""

import jax
import numpy as np

import isvs_jax
from benchmarks.peers import textbook

FINER = 16


def reduced_flow(images: np.ndarray, time: float) -> np.ndarray:
    """u(t) of the flow in which u is solved for, float64 [B, H, W, C]."""
    with jax.enable_x64(True):
        solver = isvs_jax.SplitLBI(textbook.KAPPA, textbook.NU)
        small = isvs_jax.SplitLBI(textbook.KAPPA, textbook.NU, step_size=solver.default_step_size / FINER)
        return np.asarray(isvs_jax.smooth(np.asarray(images, np.float64), time, small))


def textbook_flow(images: np.ndarray, time: float) -> np.ndarray:
    """u(t) of the flow that the textbook scheme follows, float64 [B, H, W, C]."""
    with jax.enable_x64(True):
        solver = isvs_jax.SplitLBI(textbook.KAPPA, textbook.NU, scheme="explicit")
        steps = FINER * textbook.fewest_steps(time)
        return np.asarray(isvs_jax.smooth(np.asarray(images, np.float64), time, solver, num_steps=steps))


def relative(outcome: np.ndarray | jax.Array, referee: np.ndarray, images: np.ndarray) -> np.ndarray:
    """The error of each image in percent, for as many images as all three have; [B]."""
    count = min(len(outcome), len(referee))
    outcome, referee, images = (np.asarray(array[:count], np.float64) for array in (outcome, referee, images))
    residual = images - images.mean((1, 2), keepdims=True)
    difference, energy = (np.linalg.norm(array.reshape(count, -1), axis=1) for array in (outcome - referee, residual))
    return 100 * difference / energy
