"""Total variation by SCICO, in an interpreter of its own: SCICO asks for versions of JAX that the rest does not have.

Started by total_variation.py. Reads a line of JSON, answers with a line of JSON:
{"load": FILE.npy} takes images [B, H, W, C]; {"iterations": N} solves for each and answers with the seconds of the
iterations, and with those of all, for SCICO compiles again for every image; {"save": FILE.npy} writes the outcome.
"""

import json
import sys
import time

import jax
import numpy as np
import scico
import scico.numpy as snp
from scico import functional, linop, loss
from scico.optimize.admm import ADMM, LinearSubproblemSolver

WEIGHT = 0.1


def prepare(image: np.ndarray) -> ADMM:
    """ADMM for argmin ½‖u − x‖² + 0.1·TV(u), isotropic, each channel for itself, set up as in SCICO's example."""
    observed = snp.array(image)
    return ADMM(
        f=loss.SquaredL2Loss(y=observed),
        g_list=[WEIGHT * functional.L21Norm()],
        # Ten times the weight, near the example's ratio.
        rho_list=[10 * WEIGHT],
        C_list=[linop.FiniteDifference(input_shape=image.shape, axes=(0, 1), append=0)],
        x0=observed,
        maxiter=1,
        subproblem_solver=LinearSubproblemSolver(cg_kwargs={"tol": 1e-3, "maxiter": 20}),
    )


def denoise(image: np.ndarray, iterations: int) -> tuple[jax.Array, float]:
    """The outcome, and the seconds of all iterations but the first, which compiles."""
    solver = prepare(image)
    jax.block_until_ready(solver.solve())
    solver.maxiter = iterations - 1
    began = time.perf_counter()
    outcome = jax.block_until_ready(solver.solve())
    return outcome, time.perf_counter() - began


def main() -> None:
    images, outcome = np.zeros((0, 1, 1, 1)), ()
    print(json.dumps({"scico": scico.__version__, "jax": jax.__version__}), flush=True)
    for line in sys.stdin:
        order, answer = json.loads(line), {}
        if "load" in order:
            images = np.load(order["load"])
        elif "save" in order:
            np.save(order["save"], np.stack([np.asarray(image) for image in outcome]))
        else:
            began = time.perf_counter()
            outcome, seconds = zip(*(denoise(image, order["iterations"]) for image in images), strict=True)
            answer = {"iterating": sum(seconds), "all": time.perf_counter() - began}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
