"""The reference models in plain PyMC, from the wheel or the source tree, written out for editing."""

from __future__ import annotations

import shutil
from pathlib import Path

import hitlbayes.errors as errors

# A wheel carries the models inside the package (hatch.toml); an editable checkout has them beside it.
_PACKAGE = Path(errors.__file__).parent
_PLACES = (_PACKAGE / "_models", _PACKAGE.parent / "models")


def model_names() -> list[str]:
    """Names of the reference models that can be copied.

    Examples
    --------
    >>> "did_ordinal" in model_names()
    True
    """
    return sorted(path.stem for path in _folder().glob("*.py") if not path.stem.startswith("_"))


def copy_model(name: str, *, to: str | Path = ".") -> Path:
    """Write a reference model to a file of its own, to start another model from.

    Parameters
    ----------
    name : str
        One of `model_names`.
    to : str or Path
        A folder, or the path of the new file. An existing file is never overwritten.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    SpecError
        There is no such model, or the file exists.

    Examples
    --------
    >>> import tempfile
    >>> copy_model("did_ordinal", to=tempfile.mkdtemp()).name
    'did_ordinal.py'
    """
    if name not in model_names():
        raise errors.SpecError(f"no model {name!r}: the models are {', '.join(model_names())}")
    target = Path(to)
    if target.is_dir():
        target = target / f"{name}.py"
    if target.exists():
        raise errors.SpecError(f"{target} exists: give another path with --to, nothing was written")
    if not target.parent.is_dir():
        raise errors.SpecError(f"the folder {target.parent} does not exist: make it first")
    shutil.copyfile(_folder() / f"{name}.py", target)
    return target


def _folder() -> Path:
    for place in _PLACES:
        if place.is_dir() and any(place.glob("*.py")):
            return place
    raise errors.SpecError(f"no reference models in {' or '.join(map(str, _PLACES))}: reinstall hitlbayes")
