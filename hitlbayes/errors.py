"""What can go wrong, by whose hand it can be put right."""

from __future__ import annotations


class HitlbayesError(Exception):
    """Base of every error that hitlbayes raises on purpose."""


class SchemaError(HitlbayesError):
    """The data break the schema: a column is missing, a value is out of range, a key is duplicated."""


class DesignError(HitlbayesError):
    """The treatment structure cannot identify the effect: one arm, no pre-period, a unit in both arms."""


class SpecError(HitlbayesError):
    """The specification asks for something impossible or misspelt."""


class FitError(HitlbayesError):
    """Inference could not be carried out on these data with this specification."""


class StorageError(HitlbayesError):
    """A saved fit cannot be read or does not belong to these data."""


class ConvergenceWarning(UserWarning):
    """The draws of a fit failed a check; its numbers should not be reported."""


class DataWarning(UserWarning):
    """The data were usable, but something in them deserves a look."""
