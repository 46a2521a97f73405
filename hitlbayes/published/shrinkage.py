"""How estimates that answer the same question borrow strength: the normal hierarchy, without Markov chains.

The model is ``y ~ Normal(theta, V)``, ``theta_k ~ Normal(mu, tau)``, mu flat, tau half-normal
(Rubin 1981, doi:10.3102/10769986006004377; Gelman 2006, doi:10.1214/06-BA117A). Given tau everything is
normal, so one dimension of quadrature gives the exact posterior and independent draws from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hitlbayes.errors import FitError

GRID = 2001
TAIL = 6.0  # half-normal scales: 2e-9 of the prior lies beyond


@dataclass(frozen=True, slots=True)
class NormalHierarchy:
    """Posterior of a normal hierarchy on a grid of its scale.

    Attributes
    ----------
    tau, weight : array (grid,)
        Scale between the effects, and the posterior probability of its cell.
    edges : array (grid + 1,)
        Limits of the cells.
    mu_mean, mu_var : array (grid,)
        Population mean given tau.
    theta_mean : array (grid, k)
        Effects given tau.
    theta_cov : array (grid, k, k)
        Their covariance given tau.
    base, slope : array (grid, k)
        ``E[theta | mu, tau] = base + slope * mu``.
    noise : array (grid, k, k)
        ``Cov[theta | mu, tau]``.
    """

    tau: np.ndarray
    weight: np.ndarray
    edges: np.ndarray
    mu_mean: np.ndarray
    mu_var: np.ndarray
    theta_mean: np.ndarray
    theta_cov: np.ndarray
    base: np.ndarray
    slope: np.ndarray
    noise: np.ndarray


def covariance(se: np.ndarray, correlation: float = 0.0) -> np.ndarray:
    """Sampling covariance (k, k) of estimates with these standard errors and one common correlation."""
    k = len(se)
    if not -1 / max(k - 1, 1) < correlation < 1:
        raise FitError(
            f"A common correlation of {correlation} between {k} estimates is not possible; "
            f"it must lie between {-1 / max(k - 1, 1):.3g} and 1."
        )
    return np.outer(se, se) * ((1 - correlation) * np.eye(k) + correlation)


def scale_edges(tau_scale: float, resolution: float, *, size: int = GRID) -> np.ndarray:
    """Limits of grid cells for tau, 0 to six prior scales, finest below the sampling error `resolution`."""
    top = np.arcsinh(TAIL * tau_scale / resolution)
    return resolution * np.sinh(np.linspace(0.0, top, size + 1))


def normal_hierarchy(
    estimate: np.ndarray, *, cov: np.ndarray, tau_scale: float, size: int = GRID
) -> NormalHierarchy:
    """Posterior of the effects, their mean and their scale, given estimates and their sampling covariance.

    Parameters
    ----------
    estimate : array (k,)
        At least two estimates.
    cov : array (k, k)
        Their sampling covariance.
    tau_scale : float
        Scale of the half-normal prior on the standard deviation between effects, in the estimates' units.
    size : int
        Cells of the grid.

    Examples
    --------
    Two estimates that agree are pulled together; two that do not keep apart.

    >>> import numpy as np
    >>> h = normal_hierarchy(np.array([0.0, 10.0]), cov=np.eye(2), tau_scale=10.0)
    >>> [round(float(x), 1) for x in moments(h)[0]]
    [0.1, 9.9]
    """
    y, k = np.asarray(estimate, float), len(estimate)
    if k < 2:
        raise FitError(f"Partial pooling needs at least two estimates; there is {k}. Use pool=False.")
    if not tau_scale > 0 or not np.isfinite(tau_scale):
        raise FitError(f"The prior scale of tau must be positive and finite; it is {tau_scale}.")
    edges = scale_edges(tau_scale, float(np.sqrt(np.diag(cov).min())), size=size)
    tau = (edges[1:] + edges[:-1]) / 2
    total = cov + tau[:, None, None] ** 2 * np.eye(k)
    inverse = np.linalg.inv(total)
    ones = inverse.sum(axis=2)
    mu_var = 1 / ones.sum(axis=1)
    mu_mean = mu_var * (ones @ y)
    residual = y - mu_mean[:, None]
    log_density = 0.5 * (
        np.log(mu_var)
        - np.linalg.slogdet(total)[1]
        - np.einsum("gi,gij,gj->g", residual, inverse, residual)
        - (tau / tau_scale) ** 2
    )
    weight = np.exp(log_density - log_density.max()) * np.diff(edges)
    # gain G = V (V + tau^2)^-1 is the pull towards mu: theta | mu = y - G (y - mu)
    gain = cov @ inverse
    slope = gain.sum(axis=2)
    base = y - gain @ y
    noise = cov - gain @ cov
    return NormalHierarchy(
        tau=tau,
        weight=weight / weight.sum(),
        edges=edges,
        mu_mean=mu_mean,
        mu_var=mu_var,
        theta_mean=base + slope * mu_mean[:, None],
        theta_cov=noise + mu_var[:, None, None] * slope[:, :, None] * slope[:, None, :],
        base=base,
        slope=slope,
        noise=noise,
    )


def moments(fit: NormalHierarchy) -> tuple[np.ndarray, np.ndarray]:
    """Posterior means (k,) and covariance (k, k) of the effects, by quadrature over tau."""
    mean = fit.weight @ fit.theta_mean
    spread = fit.theta_mean - mean
    cov = np.einsum("g,gij->ij", fit.weight, fit.theta_cov)
    return mean, cov + np.einsum("g,gi,gj->ij", fit.weight, spread, spread)


def draw_hierarchy(
    fit: NormalHierarchy, *, draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Independent posterior draws of the effects (draws, k), their mean (draws,) and their scale (draws,)."""
    which = rng.choice(len(fit.tau), size=draws, p=fit.weight)
    tau = rng.uniform(fit.edges[which], fit.edges[which + 1])
    mu = rng.normal(fit.mu_mean[which], np.sqrt(fit.mu_var[which]))
    root = _root(fit.noise[which])
    noise = np.einsum("dij,dj->di", root, rng.standard_normal((draws, fit.base.shape[1])))
    return fit.base[which] + fit.slope[which] * mu[:, None] + noise, mu, tau


def _root(cov: np.ndarray) -> np.ndarray:
    """Symmetric square roots of covariances that may be singular, as they are where tau is near zero."""
    values, vectors = np.linalg.eigh((cov + np.swapaxes(cov, -1, -2)) / 2)
    return vectors * np.sqrt(np.clip(values, 0.0, None))[..., None, :]
