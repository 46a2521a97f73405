from __future__ import annotations

import subprocess
import sys

import pytest

from hitlbayes import cli
from hitlbayes.cli import FAILED_CHECKS, USER_ERROR

USAGE = 2
LIGHT = ("jax", "pandas", "ibis", "matplotlib", "pymc", "numpy")


def run(*arguments: str, capsys) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    out, err = capsys.readouterr()
    return ended.value.code or 0, out, err


def test_versions(capsys):
    code, out, _ = run("versions", capsys=capsys)
    assert code == 0
    assert {"python", "jax", "numpyro", "pymc", "hitlbayes"} <= {line.split()[0] for line in out.splitlines()}


def test_copied_model_is_the_model_and_is_never_overwritten(tmp_path, capsys):
    code, _, _ = run("models", "copy", "did_ordinal", "--to", str(tmp_path), capsys=capsys)
    assert code == 0
    assert "def design(" in (tmp_path / "did_ordinal.py").read_text()
    code, _, err = run("models", "copy", "did_ordinal", "--to", str(tmp_path), capsys=capsys)
    assert (code, err.count("\n")) == (USER_ERROR, 1)
    assert "exists" in err


def test_user_errors_are_one_line(tmp_path, capsys):
    spec = tmp_path / "fit.toml"
    spec.write_text('outcome = "rating"\nscpoe = "all"\n')
    code, out, err = run("fit", str(spec), "chats.parquet", capsys=capsys)
    assert (code, out, err.count("\n")) == (USER_ERROR, "", 1)
    assert "did you mean 'scope'" in err
    assert "Traceback" not in err


def test_debug_shows_the_error(tmp_path):
    spec = tmp_path / "fit.toml"
    spec.write_text("scpoe = 1\n")
    command = [sys.executable, "-m", "hitlbayes.cli", "fit", str(spec), "chats.parquet"]
    plain = subprocess.run(command, capture_output=True, text=True, check=False)
    debug = subprocess.run([*command, "--debug"], capture_output=True, text=True, check=False)
    assert (plain.returncode, "Traceback" in plain.stderr) == (USER_ERROR, False)
    assert (debug.returncode, "Traceback" in debug.stderr) == (USER_ERROR, True)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("fti",), "No such command"),
        (("fit", "only.toml"), "Missing argument"),
        (("simulate", "a.parquet", "--effect", "rating"), "expected name=value"),
        (("simulate", "a.parquet", "--effect", "rating.none=much"), "not a number"),
        (("check", "a.parquet", "--column", "worker"), "expected name=value"),
        (("replicate", "--seed", "-1"), "greater than or equal to 0"),
    ],
)
def test_misspelt_commands_exit_with_2(arguments, word, capsys):
    code, _, err = run(*arguments, capsys=capsys)
    assert code == USAGE
    assert word in err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("replicate", "--only", "9"), "no part '9'"),
        (("replicate", "--scale", "2"), "at most 1"),
        (("simulate", "a.xlsx"), ".parquet or .csv"),
        (("simulate", "a.csv", "--effect", "ratings.none=1"), "did you mean 'rating'"),
        (("simulate", "a.csv", "--effect", "rating.technicla=1"), "did you mean 'technical'"),
        (("models", "copy", "did_ordinl"), "no model 'did_ordinl'"),
    ],
)
def test_impossible_requests_exit_with_1(arguments, word, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, _, err = run(*arguments, capsys=capsys)
    assert code == USER_ERROR
    assert word in err
    assert list(tmp_path.iterdir()) == []


def test_help_loads_nothing_heavy():
    program = (
        "import sys; from hitlbayes import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        f"print('loaded', [name for name in {LIGHT!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded []"


def test_exit_codes_are_the_documented_ones():
    assert (USER_ERROR, FAILED_CHECKS) == (1, 3)
