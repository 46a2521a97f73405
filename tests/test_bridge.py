"""A PyMC model through the library's sampler: the same density, exact posteriors, nothing left behind."""

from __future__ import annotations

import doctest
import json
import runpy
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import numpy as np
import pymc as pm
import pytest
import xarray as xr

import hitlbayes as hb
from hitlbayes import bridge
from hitlbayes.diagnostics import effective_sizes
from hitlbayes.errors import ConvergenceWarning, FitError, SpecError
from hitlbayes.fitting.run import run
from hitlbayes.inference.runtime import session
from hitlbayes.translate import translate

from .inference.chats import OUTCOMES, chat_log, engine_model, unlike_priors
from .inference.exactness import reference_model, reference_order

MODELS = Path(__file__).parents[1] / "models"
DIGITS = 1e-10  # two compilers, one density in double precision
CHANCE = 4.5  # standard errors that a right answer exceeds once in 150,000 tries
SPREAD = 0.15  # of an SD: some 400 effective draws of the worst parameter of either sampler, twice over

UNTOUCHED = """
import json, os, jax, numpy as np, pymc as pm, hitlbayes as hb
if __name__ == "__main__":
    before = {k: str(v) for k, v in jax.config.values.items()}
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mean"), 1.0, observed=np.ones(3))
    hb.sample(model, draws=20, tune=20, chains=1, progress=False)
    after = {k: str(v) for k, v in jax.config.values.items()}
    flags, devices = os.environ.get("XLA_FLAGS"), len(jax.devices())
    import pymc.sampling.jax
    changed = sorted(k for k in before if before[k] != after[k])
    print(json.dumps([changed, flags, devices, jax.config.jax_enable_x64]))
"""


def normal_model() -> pm.Model:
    """Mean of four observations with known SD: posterior normal, mean 4 * 1.5 / 5, variance 1 / 5."""
    with pm.Model(coords={"day": ["a", "b"]}) as model:
        mean = pm.Normal("mean", 0.0, 1.0)
        pm.Deterministic("both", mean + np.array([0.0, 1.0]), dims="day")
        pm.Normal("y", mean, 1.0, observed=np.array([1.0, 2.0, 1.2, 1.8]))
    return model


@pytest.fixture(scope="module")
def normal_tree() -> xr.DataTree:
    return hb.sample(normal_model(), draws=1000, chains=2, seed=4, progress=False)


@pytest.mark.parametrize(
    ("family", "centered"), [("gaussian", False), ("bernoulli", True), ("ordinal", False), ("count", True)]
)
def test_translated_density_is_pymcs(family: str, centered: bool) -> None:
    build = runpy.run_path(str(MODELS / f"did_{family}.py"))["build"]
    model = build(chat_log(3), centered=centered)
    expected, point = model.compile_logp(mode="FAST_COMPILE"), model.initial_point()
    rng = np.random.default_rng(1)
    with session():
        made = translate(model, names=["sd_level", "level"])
        density = jax.jit(made.log_density)
        for _ in range(3):
            x = made.start + 0.3 * rng.normal(size=made.start.shape)
            parts, start = {}, 0
            order = sorted(point, key=lambda name: name not in small_first(made, point))
            for name in order:
                size = np.size(point[name])
                parts[name] = x[start : start + size].reshape(np.shape(point[name]))
                start += size
            assert float(density(x, made.data)) == pytest.approx(float(expected(parts)), rel=DIGITS)
            assert float(made.values(x, made.data)[0]) == pytest.approx(np.exp(parts["sd_level_log__"]))


def small_first(made, point: dict[str, np.ndarray]) -> set[str]:
    """Variables in the dense block: the smallest that fit into `n_dense`."""
    chosen, total = set(), 0
    for name in sorted(point, key=lambda name: np.size(point[name])):
        total += np.size(point[name])
        if total > made.n_dense:
            break
        chosen.add(name)
    return chosen


def test_conjugate_posterior(normal_tree: xr.DataTree) -> None:
    draws = normal_tree["posterior"]["mean"].to_numpy()
    bulk = float(effective_sizes(draws)[0])
    assert abs(draws.mean() - 1.2) < CHANCE * np.sqrt(0.2 / bulk)
    assert abs(draws.var() / 0.2 - 1) < CHANCE * np.sqrt(2 / bulk)


def test_tree_has_dims_statistics_and_observations(normal_tree: xr.DataTree) -> None:
    posterior = normal_tree["posterior"].to_dataset()
    assert posterior["both"].dims == ("chain", "draw", "day")
    assert list(posterior["day"].to_numpy()) == ["a", "b"]
    np.testing.assert_allclose(posterior["both"].sel(day="b"), posterior["mean"] + 1.0)
    stats = normal_tree["sample_stats"].to_dataset()
    assert {"diverging", "n_steps", "acceptance_rate", "lp", "step_size"} == set(stats.data_vars)
    assert stats["diverging"].shape == (2, 1000)
    np.testing.assert_array_equal(normal_tree["observed_data"]["y"], [1.0, 2.0, 1.2, 1.8])
    assert normal_tree.attrs["seed"] == 4


def test_draws_can_be_written_and_read(normal_tree: xr.DataTree, tmp_path: Path) -> None:
    normal_tree.to_netcdf(tmp_path / "draws.nc", engine="h5netcdf")
    read = xr.open_datatree(tmp_path / "draws.nc", engine="h5netcdf")
    np.testing.assert_array_equal(read["posterior"]["mean"], normal_tree["posterior"]["mean"])


def test_a_seed_gives_its_draws() -> None:
    options = {"draws": 30, "tune": 30, "chains": 2, "progress": False, "var_names": ["mean"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        one, same, other = (
            hb.sample(normal_model(), seed=seed, **options)["posterior"].to_dataset() for seed in (1, 1, 2)
        )
    assert list(one.data_vars) == ["mean"]
    np.testing.assert_array_equal(one["mean"], same["mean"])
    assert not np.any(one["mean"].to_numpy() == other["mean"].to_numpy())
    assert not np.any(one["mean"].to_numpy()[0] == one["mean"].to_numpy()[1])


def test_warm_up_that_ends_within_a_block_is_cut_off_exactly() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        tree = hb.sample(normal_model(), draws=37, tune=113, chains=1, progress=False)
    assert tree["posterior"]["mean"].shape == (1, 37)


def test_data_containers_masks_and_missing_values() -> None:
    rng = np.random.default_rng(2)
    group, y = np.repeat(np.arange(4), 10), rng.normal(size=40)
    y[::8] = np.nan
    with pm.Model() as model, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyMC announces that it imputes
        x = pm.Data("x", rng.normal(size=40))
        level = pm.Normal("level", 0.0, 1.0, shape=4)
        both = level[group] + 0.5 * x
        pm.Normal("y", both, 1.0, observed=np.ma.masked_invalid(y))
        pm.Normal("of_some", both[rng.random(40) < 0.5].sum(), 1.0, observed=0.3)
        pm.Normal("of_those_above", pm.math.sum(both[(x > 0).nonzero()]), 1.0, observed=0.1)
    point = model.initial_point()
    with session():
        made = translate(model, names=["level", "y"])
        density = float(made.log_density(made.start, made.data))
    assert density == pytest.approx(float(model.compile_logp(mode="FAST_COMPILE")(point)), rel=DIGITS)


def test_nothing_is_left_in_the_process() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", UNTOUCHED], capture_output=True, text=True, check=True
    )
    changed, flags, devices, double = json.loads(done.stdout.splitlines()[-1])
    assert (changed, flags, devices) == ([], None, 1)
    assert double  # importing PyMC's sampler afterwards does what it always does


def test_failing_checks_are_said_aloud() -> None:
    with pm.Model() as model:
        pm.Normal("y", pm.Normal("mean"), 1.0, observed=np.ones(3))
    with pytest.warns(ConvergenceWarning, match=r"bulk ESS is .* for mean"):
        tree = hb.sample(model, draws=20, tune=20, chains=2, progress=False)
    assert not bridge.check(tree).ok


def test_elements_of_large_variables_are_judged_together() -> None:
    rng = np.random.default_rng(3)
    good = rng.normal(size=(4, 1000, 200))
    stats = xr.Dataset({"diverging": (("chain", "draw"), np.zeros((4, 1000), bool))})

    def verdict(values: np.ndarray) -> hb.errors.HitlbayesError:
        posterior = xr.Dataset(
            {"u": (("chain", "draw", "unit"), values), "b": (("chain", "draw"), good[..., 0])}
        )
        return bridge.check(xr.DataTree.from_dict({"posterior": posterior, "sample_stats": stats}))

    assert verdict(good).ok
    stuck = good + np.where(np.arange(200) < 10, 1.0, 0.0) * np.arange(4)[:, None, None]
    assert any("r_hat of u" in problem for problem in verdict(stuck).problems)


def broken(kind: str) -> pm.Model:
    with pm.Model() as model:
        mean = pm.Normal("mean")
        if kind == "discrete":
            mean = mean + pm.Bernoulli("which", 0.5)
        if kind != "unobserved":
            below = {"support": -1.0}.get(kind, 1.0)
            pm.Exponential("y", pm.math.exp(mean), observed=np.array([1.0, below]))
    return model


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("unobserved", SpecError, "no observed variables"),
        ("discrete", SpecError, "'which' are discrete"),
        ("support", FitError, r"not finite at the model's initial point; its terms there: \{'y'"),
    ],
)
def test_impossible_models_are_refused(kind: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        hb.sample(broken(kind), progress=False)


def test_what_is_no_model_and_unknown_names_are_refused() -> None:
    with pytest.raises(SpecError, match=r"expected a pymc.Model, found DataFrame"):
        hb.sample(chat_log(1))
    with pytest.raises(SpecError, match=r"'maen'; the model has: mean, both"):
        hb.sample(normal_model(), var_names=["maen"])
    with pytest.raises(SpecError, match=r"nothing to sample"):
        hb.sample(pm.Model())


def test_examples_run() -> None:
    assert doctest.testmod(bridge).failed == 0


@pytest.mark.slow
@pytest.mark.parametrize("family", OUTCOMES)
def test_draws_of_the_reference_model_are_the_engines(family: str) -> None:
    chats = chat_log(31, workers=16, days=8, start=4)
    model = engine_model(chats, family=family, formula=None, priors=unlike_priors(family))
    ours = run(model, draws=1000, chains=4, seed=1).posterior
    tree = hb.sample(reference_model(chats, model, centered=False), seed=2, progress=False)
    theirs = tree["posterior"].to_dataset()
    columns = dict(zip(model.design.names, model.design.scale, strict=True))
    pairs = {name: (ours[name], theirs[name]) for name in ("sd_level", "sd_drift", "sd_shock", "rho_effect")}
    for j, name in enumerate(reference_order(model)):
        if name != "intercept":  # it follows from the others and the columns' means
            one = ours["coef"].sel(term=name) * columns[name]
            pairs[name] = (one, theirs["coef"].isel({theirs["coef"].dims[-1]: j}))
    for name, (a, b) in pairs.items():
        a, b = a.to_numpy(), b.to_numpy()
        error = np.sqrt(sum(np.var(x) / float(effective_sizes(x)[0]) for x in (a, b)))
        assert abs(a.mean() - b.mean()) < CHANCE * error, name
        assert abs(np.log(a.std() / b.std())) < SPREAD, name
