"""A progress bar where somebody is looking, nothing where nobody is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hitlbayes.inference.runtime import Progress, silent


@contextmanager
def follow(name: str, *, show: bool | None) -> Iterator[Progress]:
    """Show what a long computation is doing; by default only on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    if not (console.is_terminal if show is None else show):
        yield silent
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task(name, total=1.0)
        yield lambda what, fraction: bar.update(task, description=f"{name}: {what}", completed=fraction)
