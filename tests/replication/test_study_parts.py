"""The studies in a replication: computed once, opened from disk, labelled, beside the simulated truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from hitlbayes.chatlog import read_chats
from hitlbayes.replication import checks, event, odds
from hitlbayes.replication.context import START, Context, chats_path
from hitlbayes.replication.heterogeneity import FEWEST, REST, joined_issues
from hitlbayes.replication.runner import STORE, replicate
from hitlbayes.replication.slim import FILE
from hitlbayes.replication.store import folder_of

SCALE = 0.05  # 32 workers: the smallest twin in which every day has chats in both arms
PARTS = ["event", "workers", "heterogeneity", "odds", "checks", "structures"]
QUIET = Console(quiet=True)

pytestmark = pytest.mark.slow  # twenty fits: some minutes


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return replicate(out=tmp_path_factory.mktemp("output"), scale=SCALE, only=PARTS, console=QUIET)


@pytest.fixture(scope="module")
def context(run):
    return Context(root=run.report.parent / STORE, scale=SCALE)


def test_event_study_has_every_day_but_the_reference(run, context):
    days = run.tables["event"].frame
    chats = pd.read_parquet(chats_path(context)).query("eligible == 1 and treated == 1")
    day = (chats["start_time"].dt.normalize() - pd.Timestamp(START)).dt.days
    for outcome, part in days.groupby("outcome"):
        known = day[chats["rating"].notna()] if outcome == "rating" else day
        assert part["relative"].tolist() == sorted(set(known) - {-1})
    before = days[days["relative"] < 0].groupby("outcome")["relative"].count()
    tested = run.tables["event"].more["pretrend"].set_index("outcome")["days"]
    assert tested.to_dict() == before.to_dict()
    study = event.studies(context)["rating"]
    shown = days[days["outcome"] == "rating"].set_index("relative")["mean"]
    np.testing.assert_allclose(study.effects().mean(("chain", "draw")), shown)


def test_kept_fits_of_several_effects_have_no_draws_of_workers(run, context):
    for unit in event.units(context):
        assert (folder_of(context.root, unit.key) / FILE).stat().st_size < 20 * 2**20


def test_groups_have_their_truth_where_it_is_known(run):
    frame = run.tables["heterogeneity"].frame
    assert frame.groupby(["outcome", "by"]).size().min() >= 2
    assert frame.loc[frame["by"] == "issue", "truth"].isna().all()
    assert frame.loc[frame["by"] != "issue", "truth"].notna().all()


def test_rare_issues_are_joined(run, context):
    chats = read_chats(str(chats_path(context)), start=START, synthetic=True)
    joined = joined_issues(chats, outcome="rating", scope="eligible")
    frame = joined.table.filter(joined.table.eligible == 1).to_pandas()
    assert REST in set(frame["issue"])
    kept = frame[frame["rating"].notna() & (frame["issue"] != REST)]
    assert kept.groupby(["issue", "treated", "post"]).size().min() >= FEWEST
    assert joined.n == chats.n


def test_workers_are_those_of_the_twin(run):
    each, spread = run.tables["workers"].more["each"], run.tables["workers"].frame
    assert each["prob_harm"].between(0, 1).all()
    assert spread["harmed"].between(spread["harmed_lower"], spread["harmed_upper"]).all()
    assert each.groupby("outcome")["truth"].count().min() > 10


def test_checks_are_read_as_they_were_written(run, context):
    found = checks.replicated("rating", context=context)
    assert len(found.replicated) == 200
    assert list(found.replicated.columns) == list(found.observed.index)
    left = checks.left_out("rating", context=context)
    assert left.elpd == pytest.approx(left.by_worker["elpd"].sum())
    again = odds.check(context)
    assert again.flagged == (again.probability < again.level)
    assert np.abs(again.shares.sum("category")).max() < 1e-6  # written with 15 digits or more


def test_structures_are_compared_with_the_model_of_the_table(run):
    frame = run.tables["structures"].frame
    assert len(frame) == 5
    assert (frame["difference"] <= 0).all()


def test_report_shows_every_part_and_nothing_is_computed_twice(run):
    page = run.report.read_text()
    for heading in (
        "Event study of AI-eligible chats",
        "Each worker",
        "For whom",
        "Proportional odds of ratings",
    ):
        assert heading in page
    for heading in ("Model checks of Table 3", "without each of its parts"):
        assert heading in page
    again = replicate(out=run.report.parent, scale=SCALE, only=PARTS, console=QUIET)
    assert again.computed == ()
    pd.testing.assert_frame_equal(again.tables["odds"].frame, run.tables["odds"].frame)
