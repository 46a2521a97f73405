"""The command line: simulate, check, fit, report, replicate, models, versions.

Exit codes: 0 done; 1 the input is wrong or a file cannot be read (one line on stderr, no traceback unless
``--debug``); 2 the command itself is misspelt; 3 the fit was made and saved but failed its checks.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from hitlbayes.errors import HitlbayesError

# JAX, ibis and pandas are imported inside the commands: `hitlbayes --help` must not wait for them.

USER_ERROR = 1
FAILED_CHECKS = 3
INTERRUPTED = 130
LANES = 2  # of a replication, where there are cores for them

app = typer.Typer(
    name="hitlbayes",
    help="Bayesian causal inference for field experiments with human-in-the-loop AI.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(help="The reference models in plain PyMC.", no_args_is_help=True)
app.add_typer(models_app, name="models")

_Column = Annotated[
    list[str] | None, typer.Option("--column", help="canonical=yours, repeatable: your name of a column.")
]


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; may stand anywhere.")] = False,
) -> None:
    """Bayesian causal inference for field experiments with human-in-the-loop AI."""


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(help="Parquet or CSV file to write.")],
    seed: Annotated[int, typer.Option(min=0)] = 20240815,
    scale: Annotated[float, typer.Option(help="Share of the paper's 647 workers.")] = 1.0,
    effect: Annotated[
        list[str] | None, typer.Option(help="outcome.name=value, repeatable: e.g. rating.emotional=-2")
    ] = None,
) -> None:
    """Write a synthetic twin of the experiment, one row per chat, with its truth beside it."""
    from hitlbayes.replication.commands import write_twin

    typer.echo(write_twin(out, seed=seed, scale=scale, effects=_effects(effect or [])))


@app.command()
def check(
    file: Annotated[str, typer.Argument(help="Chat log: Parquet or CSV, a path or a glob.")],
    column: _Column = None,
    tz: Annotated[str | None, typer.Option(help="Zone that cuts the days of aware stamps.")] = None,
    start: Annotated[str | None, typer.Option(help="First treated day, where no column says post.")] = None,
    outcome: Annotated[str | None, typer.Option(help="An outcome that must be there.")] = None,
    treated_level: Annotated[
        str | None, typer.Option(help="The value that means treated, where the arm is not 0/1.")
    ] = None,
) -> None:
    """Check a chat log against the schema and say what it holds."""
    from hitlbayes.replication.commands import describe_chats

    describe_chats(
        file,
        columns=_pairs(column or [], option="--column"),
        tz=tz,
        start=start,
        outcome=outcome,
        treated_level=treated_level,
    )


@app.command()
def fit(
    spec: Annotated[Path, typer.Argument(help="TOML: outcome, scope, family, priors, ...")],
    file: Annotated[str, typer.Argument(help="Chat log or plain table.")],
    out: Annotated[Path | None, typer.Option(help="Where to save the fit (.nc).")] = None,
) -> None:
    """Fit the model that SPEC asks for to FILE; exits with 3 where the draws fail their checks."""
    from hitlbayes.replication.commands import run_fit

    if not run_fit(spec, file, out=out):
        raise typer.Exit(FAILED_CHECKS)


@app.command()
def report(
    fit: Annotated[Path, typer.Argument(help="A fit saved by `hitlbayes fit --out`.")],
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("report.html"),
) -> None:
    """Write the report of a saved fit: one self-contained HTML file."""
    import hitlbayes as hb

    hb.load(fit).report(out)
    typer.echo(f"wrote {out}")


@app.command()
def replicate(
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the workers.")] = False,
    out: Annotated[Path, typer.Option(help="Folder of the report and the tables.")] = Path("output"),
    only: Annotated[str | None, typer.Option(help="Tables, e.g. 2,3,A4,published.")] = None,
    seed: Annotated[int, typer.Option(min=0)] = 20240815,
    scale: Annotated[float | None, typer.Option(help="Share of the workers, in place of --quick.")] = None,
    lanes: Annotated[int | None, typer.Option(min=1, help="Fits side by side; by default two.")] = None,
) -> None:
    """The published tables re-analysed, then the experiment's tables on the synthetic twin."""
    from hitlbayes.replication.runner import replicate as run
    from hitlbayes.versions import usable_cores

    tables = None if only is None else [part.strip() for part in only.split(",") if part.strip()]
    done = run(
        out=out,
        scale=scale if scale is not None else (0.1 if quick else 1.0),
        seed=seed,
        only=tables,
        lanes=lanes or min(LANES, usable_cores()),
    )
    typer.echo(f"report: {done.report}")
    if done.failed:
        failed = ", ".join(done.failed)
        typer.echo(f"{len(done.failed)} of {done.fits} fits failed their checks: {failed}", err=True)
        raise typer.Exit(FAILED_CHECKS)


@models_app.command("list")
def list_models() -> None:
    """Names of the reference models."""
    from hitlbayes.replication.models import model_names

    typer.echo("\n".join(model_names()))


@models_app.command("copy")
def copy_model(
    name: Annotated[str, typer.Argument(help="e.g. did_ordinal")],
    to: Annotated[Path, typer.Option(help="Folder or file to write.")] = Path("."),
) -> None:
    """Write a reference model to a file of your own, to edit."""
    from hitlbayes.replication.models import copy_model as copy

    typer.echo(f"wrote {copy(name, to=to)}")


@app.command()
def versions() -> None:
    """Versions of Python and of every package that can change a result."""
    from hitlbayes.versions import show_versions

    show_versions()


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit; errors are one line on stderr unless ``--debug`` is given."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    try:
        app([argument for argument in arguments if argument != "--debug"])
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        if debug:
            raise
        sys.stderr.write(f"{_one_line(error)}\n")
        sys.exit(USER_ERROR)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, HitlbayesError):
        return f"error: {text}"
    if isinstance(error, OSError):
        return f"error: {error.strerror or text}: {error.filename or ''}".rstrip(": ")
    return f"error inside hitlbayes ({type(error).__name__}): {text} (--debug shows the traceback)"


def _pairs(texts: list[str], *, option: str) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise typer.BadParameter(f"{text!r}: expected name=value", param_hint=option)
        pairs[name.strip()] = value.strip()
    return pairs


def _effects(texts: list[str]) -> dict[str, dict[str, float]]:
    nested: dict[str, dict[str, float]] = {}
    for name, text in _pairs(texts, option="--effect").items():
        outcome, dot, key = name.partition(".")
        if not dot:
            raise typer.BadParameter(f"{name}: expected outcome.name=value", param_hint="--effect")
        try:
            nested.setdefault(outcome, {})[key] = float(text)
        except ValueError:
            raise typer.BadParameter(f"{name}={text}: not a number", param_hint="--effect") from None
    return nested


if __name__ == "__main__":
    main()
