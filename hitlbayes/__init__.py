"""Bayesian causal inference for field experiments with human-in-the-loop AI."""

from importlib import import_module

__version__ = "0.1.0"

_PUBLIC = {
    "read_chats": "chatlog",
    "panel": "chatlog",
    "Chats": "chatlog",
    "Panel": "chatlog",
    "simulate": "twin",
    "simulate_cells": "twin",
    "fit_did": "studies",
    "fit_mixed": "studies",
    "Fit": "result",
    "load": "storage",
    "reanalyze": "published",
    "normal": "spec.priors",
    "half_normal": "spec.priors",
    "fixed": "spec.priors",
    "lkj": "spec.priors",
    "dirichlet": "spec.priors",
    "show_versions": "versions",
}
_MODULES = ("published", "errors", "chatlog", "twin", "studies", "report")

__all__ = [*_PUBLIC, *_MODULES, "__version__"]


def __getattr__(name: str) -> object:
    if name in _PUBLIC:
        return getattr(import_module(f"hitlbayes.{_PUBLIC[name]}"), name)
    if name in _MODULES:
        return import_module(f"hitlbayes.{name}")
    raise AttributeError(f"module 'hitlbayes' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
