"""The server of evaluation runs, for the tests that ask for it."""

from evaluating_house import evaluating

__all__ = ["evaluating"]
