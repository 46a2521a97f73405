"""Leave one worker out: exact likelihoods, exact refits, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

import hitlbayes as hb
from hitlbayes.errors import FitError, SpecError
from hitlbayes.fitting.model import build_model
from hitlbayes.fitting.structure import Grouping
from hitlbayes.fitting.unit_likelihood import gaussian_unit_loglik, row_loglik, unit_loglik
from hitlbayes.inference.runtime import session
from hitlbayes.studies.did import did_model
from hitlbayes.studies.leave_one_out import loglik_of
from hitlbayes.studies.mixed import Sampling, make_fit, sample_model
from hitlbayes.studies.rebuild import rebuild, shared_draws, unit_data

WORKERS = 40  # fewer, and one of them can move what all share too far to be weighed away
EXACT = 1e-9  # closed forms, relative to log densities of some hundreds
QUADRATURE = 2e-3  # eleven by five by five nodes against two million random numbers
MCSE = 4.5  # combined Monte Carlo standard errors, the largest of twenty


def cells(family: str):
    chats = 10.0 if family == "gaussian" else 6.0
    spread = {"sd_drift": 0.1, "sd_effect": 0.2}
    return hb.simulate_cells(
        seed=2, family=family, workers=WORKERS, periods=6, start=3, chats_per_cell=chats, **spread
    )


@cache
def fitted(family: str) -> hb.Fit:
    return hb.fit_did(cells(family), outcome="y", draws=500, progress=False)


def test_certain_outcomes_have_log_likelihood_zero_however_far_the_odds() -> None:
    at, stats = np.array([100.0, -100.0]), np.array([[1.0, 1.0], [1.0, 0.0]])  # one success, one failure
    with session():
        found = row_loglik("bernoulli", at, np.array([0.0, 1.0]), stats, np.zeros(0))
    np.testing.assert_allclose(found, 0.0, atol=EXACT)


def test_gaussian_likelihood_is_the_dense_normal() -> None:
    made = rebuild(fitted("gaussian"))
    data, at = unit_data(made), shared_draws(fitted("gaussian"), made, np.array([3, 77]))
    found = gaussian_unit_loglik(data, at.outer, at.factor, at.sigma, at.shock, is_precision=False)
    for b in range(2):
        for i in (0, 7):
            r = np.flatnonzero(made.structure.unit.codes == i)
            A, L = made.structure.basis[r], at.factor[b][data.unit_class[i]]
            n, s2 = made.cells.n[r], at.sigma[b][data.phase[r]] ** 2
            V = A @ L @ L.T @ A.T + np.diag(at.shock[b] ** 2 + s2 / n)
            within = -0.5 * ((n - 1) * np.log(2 * np.pi * s2) + np.log(n) + made.cells.stats[r, 1] / s2)
            expected = multivariate_normal(at.outer[b][r], V).logpdf(made.cells.stats[r, 0]) + within.sum()
            assert abs(found[b, i] - expected) < EXACT * abs(expected)


@pytest.mark.parametrize("family", ["bernoulli", "ordinal"])
def test_quadrature_is_the_average_over_random_effects(family: str) -> None:
    made = rebuild(fitted(family))
    data, at = unit_data(made), shared_draws(fitted(family), made, np.array([11]))
    found = unit_loglik(family, data, at.outer, at.factor, at.cut, at.shock)[0]
    rng = np.random.default_rng(0)
    for i in (0, 3):
        r = np.flatnonzero(made.structure.unit.codes == i)
        z = rng.standard_normal((200_000, 2)) @ at.factor[0][data.unit_class[i]].T
        eta = at.outer[0][r] + z @ made.structure.basis[r].T
        eta += at.shock[0] * rng.standard_normal(eta.shape)
        if family == "bernoulli":
            p = 1 / (1 + np.exp(-eta))
            successes, n = made.cells.stats[r, 0], made.cells.n[r]
            value = (successes * np.log(p) + (n - successes) * np.log1p(-p)).sum(axis=1)
        else:
            below = 1 / (1 + np.exp(-(at.cut[0] - eta[..., None])))
            edges = [np.zeros_like(below[..., :1]), below, np.ones_like(below[..., :1])]
            share = np.diff(np.concatenate(edges, axis=-1), axis=-1)
            value = (made.cells.stats[r] * np.log(share)).sum(axis=(1, 2))
        expected = logsumexp(value) - np.log(len(value))
        error = np.std(np.exp(value - expected)) / np.sqrt(len(value))
        assert abs(found[i] - expected) < 5 * error + QUADRATURE


def refit_without(family: str, worker: int) -> hb.Fit:
    """The same model, columns, scales and priors, with one worker's cells left out."""
    study = did_model(cells(family), outcome="y")
    model = study.model
    structure = model.structure
    keep = structure.unit.codes != worker
    codes = structure.unit.codes[keep]
    unit = Grouping("unit", codes - (codes > worker), np.delete(structure.unit.labels, worker))
    groups = tuple(Grouping(g.name, g.codes[keep], g.labels) for g in structure.groups)
    smaller = replace(
        structure,
        unit=unit,
        groups=groups,
        basis=structure.basis[keep],
        exposure=structure.exposure[keep],
        unit_class=np.delete(structure.unit_class, worker),
        period=structure.period[keep],
        phase=structure.phase[keep],
    )
    design = replace(model.design, X=model.design.X[keep])
    rest = build_model(model.cells.take(keep, reason="left out"), design, smaller, priors=model.priors)
    sampling = Sampling(draws=500, seed=100 + worker, progress=False)
    small = replace(study, model=rest, means=None)
    return make_fit(small, sample_model(small, sampling), sampling, seconds=0.0)


def check_refits(family: str, workers: range) -> None:
    found = hb.leave_one_out(fitted(family), draws=2000)
    trusted = 0
    for worker in workers:
        value = loglik_of(fitted(family), refit_without(family, worker), draws=2000)[:, worker]
        exact = logsumexp(value) - np.log(len(value))
        error = np.std(np.exp(value - exact)) / np.sqrt(len(value))
        row = found.by_worker.iloc[worker]
        if row["k_hat"] > 0.7:
            continue  # said to be not trusted
        trusted += 1
        # Successive draws of one chain are not independent; half of them are, or more.
        combined = np.sqrt(2.0 * (error**2 + row["mcse"] ** 2))
        print(f"{family} {worker}: {row['elpd']:.3f} {exact:.3f}, {(row['elpd'] - exact) / combined:+.2f} SE")
        assert abs(row["elpd"] - exact) < MCSE * combined
    assert trusted >= len(workers) - 1


def test_importance_sampling_agrees_with_twenty_exact_refits() -> None:
    check_refits("gaussian", range(20))


@pytest.mark.slow
@pytest.mark.parametrize("family", ["bernoulli", "ordinal"])
def test_importance_sampling_agrees_with_twenty_exact_refits_by_quadrature(family: str) -> None:
    check_refits(family, range(20))


def test_the_structure_that_made_the_data_is_preferred() -> None:
    data = hb.simulate_cells(seed=3, workers=40, periods=8, start=4, sd_level=0.6, sd_shock=0.3)
    full = hb.fit_did(data, outcome="y", draws=250, progress=False)
    flat = hb.fit_did(data, outcome="y", draws=250, progress=False, priors={"sd_shock": hb.fixed(0.0)})
    table = hb.compare({"no shocks": hb.leave_one_out(flat), "shocks": hb.leave_one_out(full)})
    assert list(table.index) == ["shocks", "no shocks"]
    assert table.loc["no shocks", "difference"] < -2 * table.loc["no shocks", "se_difference"]
    found = hb.leave_one_out(full)
    assert found.p_loo > 0
    assert abs(found.elpd - found.by_worker["elpd"].sum()) < 1e-9
    assert "k-hat" in found.plot().caption


def test_what_cannot_be_compared_is_refused() -> None:
    one, other = (hb.leave_one_out(fitted(family)) for family in ("gaussian", "bernoulli"))
    with pytest.raises(SpecError, match="different things"):
        hb.compare({"a": one, "b": other})
    with pytest.raises(SpecError, match="two or more"):
        hb.compare({"a": one})
    fewer = replace(one, by_worker=one.by_worker.iloc[1:])
    with pytest.raises(SpecError, match="other workers"):
        hb.compare({"a": one, "b": fewer})


def test_draws_that_are_all_the_same_are_refused() -> None:
    fit = fitted("gaussian")
    tree = fit.posterior.copy()
    drawn = tree["posterior"].to_dataset()
    tree["posterior"] = type(tree)(drawn.map(lambda a: a.isel(chain=0, draw=0).broadcast_like(a)))
    with pytest.raises(FitError, match="the same in every draw"):
        hb.leave_one_out(replace(fit, posterior=tree))


def test_a_mixed_model_leaves_out_its_largest_group() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"judge": np.repeat(np.arange(12), 10), "item": np.tile(np.arange(5), 24)})
    frame["y"] = rng.normal(0, 1, 12)[frame["judge"]] + rng.normal(size=120)
    fit = hb.fit_mixed(
        frame, outcome="y", family="gaussian", groups=["item", "judge"], draws=250, progress=False
    )
    found = hb.leave_one_out(fit)
    assert found.by_worker.index.name == "judge"
    assert found.by_worker["n"].tolist() == [10.0] * 12
