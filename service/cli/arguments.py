"""`--segments a.yaml b.yaml`: an option that takes all paths after it, as a shell's `*.yaml` gives them."""

from __future__ import annotations

from collections.abc import Sequence

SPREADING = "--segments"
RECORDINGS = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".parquet")


def spread(arguments: Sequence[str]) -> list[str]:
    """The arguments with `--segments` repeated before each of its paths; a recording among them is none of its paths.

    >>> spread(["replay", "--segments", "a.yaml", "b", "e.jsonl", "--at", "T"])
    ['replay', '--segments', 'a.yaml', '--segments', 'b', 'e.jsonl', '--at', 'T']
    """
    found: list[str] = []
    taking = waiting = False  # paths follow; the option just stood there
    for argument in arguments:
        if argument == SPREADING:
            taking = waiting = True
        elif not taking or argument.startswith("-"):
            if waiting:
                found.append(SPREADING)  # without a path: the parser says so
            taking = waiting = False
            found.append(argument)
        elif argument.endswith(RECORDINGS):
            found.append(argument)
        else:
            found += [SPREADING, argument]
            waiting = False
    return [*found, SPREADING] if waiting else found
