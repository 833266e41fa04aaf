"""The `segmentd` command. `main` is its entry; each command is a module of its own, imported when it is asked for."""

from service.cli.app import main

__all__ = ["main"]
