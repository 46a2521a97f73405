"""Writes `api.md`, a page of the public names from their docstrings. Run it with `python docs/api.py`."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import hitlbayes as hb

PAGE = Path(__file__).with_name("api.md")
HEAD = """# Public names

Made from the docstrings by `python docs/api.py`; do not edit. In Python, `help(hb.fit_did)`.
"""
SECTION = re.compile(r"(?m)^(\S[^\n]*)\n-{3,}$")


def page() -> str:
    """The whole page as Markdown."""
    names = [name for name in hb.__all__ if name != "__version__"]
    modules = [name for name in names if isinstance(getattr(hb, name), ModuleType)]
    parts = [HEAD, "## hitlbayes\n"]
    parts += [entry(name, getattr(hb, name)) for name in sorted(set(names) - set(modules), key=_order)]
    for module in sorted(modules):
        parts.append(module_entry(module, getattr(hb, module)))
    return "\n".join(parts).rstrip() + "\n"


def module_entry(name: str, module: ModuleType) -> str:
    """A module: what it is for, and those of its names that the package itself does not offer."""
    public = getattr(module, "__all__", None)
    if public is None:
        own = inspect.getmembers(module, inspect.isclass)
        public = [key for key, value in own if value.__module__ == module.__name__]
    entries = [entry(f"{name}.{key}", getattr(module, key)) for key in public if key not in hb.__all__]
    return "\n".join([f"## hitlbayes.{name}\n", f"{inspect.getdoc(module) or ''}\n", *entries])


def entry(name: str, thing: Any) -> str:
    """A function or class: signature, docstring, public methods."""
    parts = [f"### {name}\n"]
    if callable(thing) and not _is_error(thing):
        parts.append(f"```text\n{name.split('.')[-1]}{signature(thing)}\n```\n")
    parts.append(f"{markdown(inspect.getdoc(thing) or '')}\n")
    if inspect.isclass(thing) and not _is_error(thing):
        parts += [
            f"`.{key}{signature(value)}`: {first_line(value)}\n"
            for key, value in vars(thing).items()
            if not key.startswith("_") and inspect.isfunction(value)
        ]
    return "\n".join(parts)


def signature(thing: Any) -> str:
    """Arguments with their defaults; types stand in the docstring."""
    if inspect.isclass(thing) and "__init__" not in vars(thing):
        return "(...)"
    parameters = inspect.signature(thing).parameters.values()
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in parameters if p.name != "self"]
    return str(inspect.Signature(plain))


def first_line(thing: Any) -> str:
    """First line of a docstring."""
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def markdown(text: str) -> str:
    """A numpydoc docstring with its headings bold and its sections as they stand."""
    pieces = SECTION.split(text.replace("\t", "    "))
    parts = [pieces[0].strip()]
    for title, body in zip(pieces[1::2], pieces[2::2], strict=True):
        fence = "pycon" if title == "Examples" else "text"
        parts.append(f"**{title}**\n\n```{fence}\n{body.strip(chr(10)).rstrip()}\n```")
    return "\n\n".join(parts)


def _order(name: str) -> tuple[str, str]:
    """By letters, whatever their case; `Panel` before `panel`."""
    return name.lower(), name


def _is_error(thing: Any) -> bool:
    return inspect.isclass(thing) and issubclass(thing, Exception | Warning)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE.name}")
