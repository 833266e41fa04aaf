"""The command line's fixtures, for tests of the whole service."""

from tests.service.cli.conftest import run

__all__ = ["run"]
