"""Which commands there are and what their options mean. What a command does is in the module of its name."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from rules.errors import SegmentdError
from service.cli.arguments import spread
from service.cli.output import fail

app = typer.Typer(
    name="segmentd",
    help="Event-streaming customer segmentation: exact entries and exits, by event and by clock.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
segments_app = typer.Typer(no_args_is_help=True, help="Segment documents in files: check, test, compare, apply.")
app.add_typer(segments_app, name="segments")
members_app = typer.Typer(no_args_is_help=True, help="Members of a segment, from and into CSV files.")
app.add_typer(members_app, name="members")
dlq_app = typer.Typer(no_args_is_help=True, help="Dead letters: records that could not be taken.")
app.add_typer(dlq_app, name="dlq")
connectors_app = typer.Typer(no_args_is_help=True, help="Connectors: how other systems are called.")
app.add_typer(connectors_app, name="connectors")
actions_app = typer.Typer(help="Deliver webhooks and make the calls of actions; or try one action.")
app.add_typer(actions_app, name="actions")

Paths = Annotated[list[Path], typer.Argument(metavar="PATH…", help="Files or directories.", show_default=False)]
SegmentPaths = Annotated[
    list[Path], typer.Option("--segments", metavar="PATH…", help="Segment files or directories.", show_default=False)
]
Server = Annotated[str, typer.Option(envvar="SEGMENTD_SERVER", help="Address of the running service.")]
Token = Annotated[str | None, typer.Option(envvar="SEGMENTD_TOKEN", help="Bearer token, if the service asks for one.")]
Host = Annotated[str | None, typer.Option(help="Address to listen on.  [default: 127.0.0.1]", show_default=False)]
Port = Annotated[int | None, typer.Option(help="Port to listen on, 0: any.  [default: 8080]", show_default=False)]
OpsPort = Annotated[
    int | None, typer.Option(help="Port for health and metrics.  [default: a free one]", show_default=False)
]
DataDir = Annotated[
    Path | None, typer.Option(help="Where the embedded store keeps its data.  [default: .segmentd]", show_default=False)
]
Partitions = Annotated[
    list[int], typer.Option("--partition", metavar="N", help="Only this one (may be repeated).", show_default=False)
]
SourcesFile = Annotated[
    Path | None,
    typer.Option(
        "--sources",
        metavar="FILE",
        help="Which topics, and how they are read.  [default: $SEGMENTD_SOURCES_FILE, else the default sources]",
        show_default=False,
    ),
]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Only those whose reason has this in it.")]
LOCAL = "http://127.0.0.1:8080"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits with its status: 0 done, 1 something failed, 2 it could not be understood or read."""
    try:
        app(spread(sys.argv[1:] if arguments is None else arguments), prog_name="segmentd")
    except SegmentdError as error:
        fail(str(error))
        sys.exit(getattr(error, "status", 1))


# -- running ----------------------------------------------------------------------------------------------------------


@app.command()
def up(
    segments: SegmentPaths = [],  # noqa: B006 (typer copies it)
    sample: Annotated[bool, typer.Option("--sample", help="With sample segments and live sample traffic.")] = False,
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
) -> None:
    """Run everything in one process. Without REDIS_URL on an embedded store, data kept in ./.segmentd."""
    from service.cli.up import run_up

    run_up(segments, sample=sample, host=host, port=port, data_dir=data_dir)


@app.command()
def api(host: Host = None, port: Port = None) -> None:
    """Answer HTTP only; evaluators run elsewhere on the same REDIS_URL."""
    from service.cli.roles import run_api

    run_api(host=host, port=port)


@app.command()
def evaluator(host: Host = None, port: OpsPort = None) -> None:
    """Evaluate only: read the log, keep the memberships, write the feed. Needs REDIS_URL.

    Answers /healthz, /readyz, /metrics and /v1/status over HTTP.
    """
    from service.cli.roles import run_evaluator

    run_evaluator(host=host, port=port)


@actions_app.callback(invoke_without_command=True)
def actions(context: typer.Context, host: Host = None, port: OpsPort = None) -> None:
    """Deliver only: webhooks and the calls of actions, as many processes as are wanted. Needs REDIS_URL.

    Answers /healthz, /readyz, /metrics and /v1/status over HTTP.
    """
    if context.invoked_subcommand is None:
        from service.cli.roles import run_actions

        run_actions(host=host, port=port)


@actions_app.command("try")
def actions_try(
    action: Annotated[str, typer.Argument(metavar="ACTION", help="`segment/action`.", show_default=False)],
    customer: Annotated[str, typer.Option(help="For whom.", show_default=False)],
    segments: SegmentPaths = [],  # noqa: B006
    send: Annotated[bool, typer.Option("--send", help="Make the call, once.")] = False,
    server: Server = LOCAL,
    token: Token = None,
) -> None:
    """Show what an action would send for one customer, secrets masked. Nothing is sent without --send.

    The running service renders it, as it knows the customer. With --segments the document is taken from files: one that
    is not applied yet can be tried.
    """
    from service.cli.actions import run_try

    run_try(action, customer, segments, server, token, send=send)


@app.command()
def intake(sources: SourcesFile = None, host: Host = None, port: OpsPort = None) -> None:
    """Read topics that others own, and write what they say on to the log. Needs KAFKA_BOOTSTRAP_SERVERS.

    Answers /healthz, /readyz and /metrics over HTTP.
    """
    from service.cli.intake import run_intake

    run_intake(sources, host=host, port=port)


@app.command()
def status(
    server: Server = LOCAL,
    token: Token = None,
    as_json: Annotated[bool, typer.Option("--json", help="As /v1/status answers it.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Again every two seconds, until Ctrl-C.")] = False,
) -> None:
    """Show where every partition of a running service stands; exit 1 if it is not ready."""
    from service.cli.status import run_status

    run_status(server, token, as_json=as_json, watch=watch)


@app.command()
def repair(
    accept_gap: Annotated[bool, typer.Option("--accept-gap", help="Go on without what is gone.")] = False,
    partition: Partitions = [],  # noqa: B006
    from_start: Annotated[
        bool, typer.Option("--from-start", help="In a log made anew: from its oldest record, not with what comes next.")
    ] = False,
) -> None:
    """Show partitions whose position is not in the log any more; exit 1 if there are any. Only a person accepts a gap.

    REDIS_URL and KAFKA_BOOTSTRAP_SERVERS say where; evaluators may run meanwhile.
    """
    from service.cli.repair import run_repair

    run_repair(partition, accept=accept_gap, from_start=from_start)


@app.command()
def rebuild(
    discard: Annotated[bool, typer.Option("--discard", help="Delete the state first; never the log.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before.")] = False,
    accept_gap: Annotated[
        bool, typer.Option("--accept-gap", help="Also from a log that does not reach back to its beginning.")
    ] = False,
    partition: Partitions = [],  # noqa: B006
) -> None:
    """Fill an emptied store from the log. What was published does not go out again.

    REDIS_URL and KAFKA_BOOTSTRAP_SERVERS say where; evaluators that run meanwhile share the work.
    """
    from service.cli.rebuild import run_rebuild

    run_rebuild(partition, discarding=discard, yes=yes, accept_gap=accept_gap)


@app.command()
def demo(
    events: Annotated[int | None, typer.Option(help="Play only so many events.", show_default=False)] = None,
) -> None:
    """Play the packaged sample shop through the whole embedded service, print the result, end."""
    from service.cli.demo import run_demo

    run_demo(events)


@app.command()
def replay(
    events: Annotated[Path, typer.Argument(metavar="EVENTS", help=".jsonl, .jsonl.gz or .parquet")],
    segments: SegmentPaths,
    at: Annotated[
        str | None, typer.Option(metavar="TS", help="Play up to this instant.  [default: highest ts]")
    ] = None,
    transitions: Annotated[Path | None, typer.Option(metavar="OUT.jsonl", help="Write every change here.")] = None,
    memberships: Annotated[Path | None, typer.Option(metavar="OUT.jsonl", help="Write who is in at the end.")] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Bad records are no failure.")] = False,
) -> None:
    """Play a recorded event file in event time, with no store and no server."""
    from service.cli.replay import run_replay

    run_replay(events, segments, at=at, transitions=transitions, memberships=memberships, skip_bad=skip_bad)


# -- dead letters -----------------------------------------------------------------------------------------------------


@dlq_app.command("list")
def dlq_list(
    limit: Annotated[int, typer.Option(min=1, help="So many, the newest.")] = 50,
    reason: Reason = "",
    as_json: Annotated[bool, typer.Option("--json", help="A line of JSON each, with the bytes.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Show records that could not be taken, newest first: on Kafka's topic, without Kafka in the store."""
    from service.cli.dlq import run_list

    run_list(limit, reason, data_dir=data_dir, as_json=as_json)


@dlq_app.command("replay")
def dlq_replay(
    ids: Annotated[list[str], typer.Option("--id", metavar="ID", help="This one; more than once.")] = [],  # noqa: B006
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    reason: Reason = "",
    sources: SourcesFile = None,
    data_dir: DataDir = None,
) -> None:
    """Send dead letters through the same check again; what is good now goes to the log. Exit 1 if any is still bad."""
    from service.cli.dlq import run_replay

    run_replay(ids, reason, everything=everything, sources=sources, data_dir=data_dir)


# -- members ----------------------------------------------------------------------------------------------------------


@members_app.command("import")
def members_import(
    segment: Annotated[str, typer.Argument(help="The segment's id.", show_default=False)],
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="Also gzip.", show_default=False)],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check the file; change nothing.")] = False,
    ignore_columns: Annotated[bool, typer.Option("--ignore-columns", help="Pass over unknown columns.")] = False,
    key: Annotated[str | None, typer.Option(help="Of an import that broke off: a row counts once.")] = None,
    server: Server = LOCAL,
    token: Token = None,
) -> None:
    """Add and remove members by a file: customer_id, and if wanted action (add, remove, clear) and until."""
    from service.cli.members import run_import

    run_import(segment, file, server, token, dry_run=dry_run, ignore_columns=ignore_columns, key=key)


@members_app.command("export")
def members_export(
    segment: Annotated[str, typer.Argument(help="The segment's id.", show_default=False)],
    server: Server = LOCAL,
    token: Token = None,
) -> None:
    """Write the members as CSV to standard output: customer_id,since."""
    from service.cli.members import run_export

    run_export(segment, server, token)


# -- segments in files ------------------------------------------------------------------------------------------------


@segments_app.command("validate")
def validate(paths: Paths) -> None:
    """Check documents and say them in words; exit 1 if any is wrong."""
    from service.cli.validate import run_validate

    run_validate(paths)


@segments_app.command("test")
def test(paths: Paths) -> None:
    """Run the cases in *.cases.yaml; exit 1 if any failed."""
    from service.cli.test import run_test

    run_test(paths)


@segments_app.command("diff")
def diff(
    paths: Paths,
    server: Server = LOCAL,
    token: Token = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit 1 if anything differs.")] = False,
) -> None:
    """Show what `apply` would change in a running service, in words."""
    from service.cli.apply import run_diff

    run_diff(paths, server, token, exit_code=exit_code)


@segments_app.command("apply")
def apply(
    paths: Paths,
    server: Server = LOCAL,
    token: Token = None,
    prune: Annotated[bool, typer.Option("--prune", help="Delete the segments that no file has.")] = False,
) -> None:
    """Make a running service's segments what the files say."""
    from service.cli.apply import run_apply

    run_apply(paths, server, token, prune=prune)


# -- connectors -------------------------------------------------------------------------------------------------------


@connectors_app.command("list")
def connectors_list(
    directory: Annotated[
        Path | None,
        typer.Option("--dir", envvar="SEGMENTD_CONNECTORS_DIR", help="Connectors of your own.", show_default=False),
    ] = None,
) -> None:
    """Which systems can be called, the calls of each, and what an action gives them in `with`."""
    from service.cli.connectors import run_list

    run_list(directory)


@connectors_app.command("check")
def connectors_check(paths: Paths) -> None:
    """Check connectors in files: every mistake, with its place."""
    from service.cli.connectors import run_check

    run_check(paths)
