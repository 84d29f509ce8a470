"""The solver once more, in float64 NumPy and SciPy: sparse matrices, a sparse factorisation, plain loops over steps.

Nothing here shares code with the package. One image [H, W, C] at a time.
"""

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg


def difference_matrices(height: int, width: int) -> tuple[sp.csr_array, sp.csr_array]:
    """Horizontal and vertical forward differences as sparse matrices on row-major pixels."""

    def one(size: int) -> sp.csr_array:
        if size == 1:
            return sp.csr_array((0, 1))
        return sp.csr_array(
            sp.diags_array([-np.ones(size - 1), np.ones(size - 1)], offsets=[0, 1], shape=(size - 1, size))
        )

    horizontal = sp.kron(sp.eye_array(height), one(width), format="csr")
    vertical = sp.kron(one(height), sp.eye_array(width), format="csr")
    return horizontal, vertical


class Flow:
    """The Split LBI flow of one image."""

    def __init__(self, image, kappa=5.0, nu=0.1, penalty="color", scheme="spectral"):
        self.shape = image.shape
        height, width, channels = image.shape
        self.x = np.asarray(image, np.float64).reshape(-1, channels)
        self.kappa, self.nu, self.penalty, self.scheme = kappa, nu, penalty, scheme
        self.horizontal, self.vertical = difference_matrices(height, width)
        self.d = sp.csr_array(sp.vstack([self.horizontal, self.vertical]))
        system = sp.eye_array(height * width) + self.d.T @ self.d / nu
        self.factor = scipy.sparse.linalg.factorized(sp.csc_array(system))
        self.z = np.zeros((self.d.shape[0], channels))
        self.u = self.minimiser(np.zeros_like(self.z))

    def minimiser(self, v):
        right = self.x + self.d.T @ v / self.nu
        return np.stack([self.factor(column) for column in right.T], axis=1)

    def groups(self):
        """A group number for every entry of z."""
        edges, channels = self.z.shape
        if self.penalty == "anisotropic":
            return np.arange(edges * channels).reshape(edges, channels)
        if self.penalty == "color":
            return np.repeat(np.arange(edges)[:, None], channels, axis=1)
        height, width, _ = self.shape
        pixel = np.arange(height * width).reshape(height, width)
        tails = np.concatenate([pixel[:, :-1].ravel(), pixel[:-1, :].ravel()])
        return np.repeat(tails[:, None], channels, axis=1)

    def norms(self):
        groups = self.groups()
        squares = np.bincount(groups.ravel(), (self.z**2).ravel(), minlength=groups.max(initial=-1) + 1)
        return np.sqrt(squares)[groups]

    def v(self):
        norms = self.norms()
        keep = norms > 1
        return self.kappa * np.where(keep, self.z * (1 - 1 / np.where(keep, norms, 1)), 0)

    def energy(self):
        residual = self.d @ self.u - self.v()
        return 0.5 * np.sum((self.u - self.x) ** 2) + np.sum(residual**2) / (2 * self.nu)

    def step(self, alpha):
        slope = (self.d @ self.u - self.v()) / self.nu
        if self.scheme == "explicit":
            gradient = self.u - self.x + self.d.T @ slope
            self.u = self.u - self.kappa * alpha * gradient
            self.z = self.z + alpha * slope
        else:
            self.z = self.z + alpha * slope
            self.u = self.minimiser(self.v())

    def run(self, time, alpha):
        """Steps of alpha on the grid 0, alpha, 2 alpha, ..., and a shorter one to the end."""
        steps = max(1, int(np.ceil(time / alpha - 1e-5)))
        for k in range(steps):
            self.step(min(alpha, time - k * alpha))
        return self

    def chebyshev_step(self, size, stages, damping):
        """A Runge-Kutta-Chebyshev step of first order, in the variables of Verwer (1996)."""
        w0 = 1 + damping / stages**2
        angle = np.arccosh(w0)
        w1 = np.sinh(angle) / (stages * np.tanh(stages * angle))
        before, z = None, self.z
        for j in range(1, stages + 1):
            slope = (self.d @ self.u - self.v()) / self.nu
            if j == 1:
                after = z + size * w1 / w0 * slope
            else:
                b = [1 / np.cosh(k * angle) for k in (j, j - 1, j - 2)]
                after = 2 * w0 * b[0] / b[1] * z - b[0] / b[2] * before + 2 * w1 * b[0] / b[1] * size * slope
            before, z = z, after
            self.z = z
            self.u = self.minimiser(self.v())
        return self

    def path(self, time, share=0.95):
        """The default path: until t₁ at once, long steps from there, then the finish, no longer than what is left."""
        unit = share * self.nu / self.kappa
        rate = self.d @ self.u / self.nu
        self.z = rate
        first = min(time, 1 / max(self.norms().max(initial=0), 1e-300))
        self.z = first * rate

        def longest(stages, damping):
            w0 = 1 + damping / stages**2
            angle = np.arccosh(w0)
            return unit * (1 + w0) * stages * np.tanh(stages * angle) / np.sinh(angle)

        settling = unit * np.array([1.9, 1.9, 1.9, 1.9, 1.5, 1.5, 1.0, 1.0, 0.7, 0.5])
        finish = 2 * longest(2, 1.0) + settling.sum()
        scale = min(1.0, (time - first) / finish)
        left = time - first - scale * finish
        while left > 0:
            self.chebyshev_step(min(left, longest(3, 0.7)), 3, 0.7)
            left -= longest(3, 0.7)
        for _ in range(2):
            self.chebyshev_step(scale * longest(2, 1.0), 2, 1.0)
        for length in settling:
            self.step(scale * length)
        return self

    def dense(self):
        return self.u.reshape(self.shape)

    def support(self):
        """Horizontal and vertical support, channel axis C."""
        height, width, channels = self.shape
        inside = self.norms() > 1
        cut = self.horizontal.shape[0]
        return inside[:cut].reshape(height, width - 1, channels), inside[cut:].reshape(height - 1, width, channels)


def project(image, horizontal, vertical):
    """Mean over the connected components of the graph of edges outside the support [.., 1 or C], by scipy's csgraph."""
    height, width, channels = image.shape
    pixel = np.arange(height * width).reshape(height, width)
    result = np.empty((height * width, channels))
    for channel in range(channels):
        source = 0 if horizontal.shape[-1] == 1 else channel
        across, down = ~horizontal[..., source], ~vertical[..., source]
        tails = np.concatenate([pixel[:, :-1][across], pixel[:-1][down]])
        heads = np.concatenate([pixel[:, 1:][across], pixel[1:][down]])
        graph = sp.coo_array((np.ones(tails.size), (tails, heads)), shape=(pixel.size, pixel.size))
        _, labels = sp.csgraph.connected_components(graph, directed=False)
        values = np.asarray(image, np.float64)[..., channel].ravel()
        result[:, channel] = (np.bincount(labels, values) / np.bincount(labels))[labels]
    return result.reshape(image.shape)
