"""`segmentd members import` and `segmentd members export`: a segment's members from a CSV file, and into one."""

from __future__ import annotations

import csv
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rules.errors import SegmentdError
from service.cli.output import Work, fail, say
from service.cli.remote import ServerSaidNo, connect

_PIECE_BYTES = 64 * 1024
_GZIP = b"\x1f\x8b"


class FileUnreadable(SegmentdError):
    """The file is not there, or cannot be read."""

    status = 2


def run_import(
    segment: str,
    file: Path,
    server: str,
    token: str | None,
    *,
    dry_run: bool,
    ignore_columns: bool,
    key: str | None,
) -> None:
    """Exits with 1 if any row was refused, or the service could not be asked."""
    headers = {"Content-Type": "text/csv", "Idempotency-Key": key or secrets.token_hex(8)}
    asked = {"dry_run": str(dry_run).lower(), "ignore_columns": str(ignore_columns).lower()}
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            if opened.read(len(_GZIP)) == _GZIP:
                headers["Content-Encoding"] = "gzip"
    except OSError as error:
        raise FileUnreadable(f"{file}: {error.strerror}") from None
    headers["Content-Length"] = str(size)
    with connect(server, token) as remote, Work("checking" if dry_run else "sending", size, "KiB") as work:
        try:
            told = remote.upload(f"/v1/segments/{segment}/members", _pieces(file, work), headers, asked)
        except ServerSaidNo as error:
            again = (
                "" if dry_run else f"\n  to go on: the same with --key {headers['Idempotency-Key']}; a row counts once"
            )
            raise ServerSaidNo(f"{error}{again}") from None
    tell(segment, told)
    if told["rejected"] or told["errors_total"]:
        sys.exit(1)


def _pieces(file: Path, work: Work) -> Iterator[bytes]:
    done = 0
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE_BYTES):
            yield piece
            done += len(piece)
            work.show(done, done // 1024)


def tell(segment: str, told: dict[str, Any]) -> None:
    """What became of the rows: every mistake that the service lists, and the count of the others."""
    for each in told["errors"]:
        place = f"row {each['row']}" + (f", {each['column']}" if each["column"] else "")
        fail(f"{place}: {each['error']}")
    if told["errors_total"] > len(told["errors"]):
        fail(f"... and {told['errors_total'] - len(told['errors']):,} more mistakes")
    taken = "would be taken" if told["dry_run"] else "taken"
    say(f"{segment}: {told['rows']:,} rows: {told['accepted']:,} {taken}, {told['rejected']:,} refused")


def run_export(segment: str, server: str, token: str | None) -> None:
    """Members as CSV on standard output, newest first: those there were when it began, but for who left meanwhile."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    with connect(server, token) as remote:
        members = remote.members(segment)
        first = next(members, None)  # before the header: a segment that is not there has no file
        writer.writerow(["customer_id", "since"])
        if first is not None:
            writer.writerow(first)
        writer.writerows(members)
