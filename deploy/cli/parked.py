"""`kaipiao parked`: records that could not take effect, in every service. What is to be done about a page of them can be done from it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from deploy.cli.routes import SERVICES, SaidNo, Silent, ask, call, chosen, stop, warn
from shared.domain.calendar import SHANGHAI

PAGE = 200
NEXT = "next-after"
PAGES_MAX = 1_000

Service = Annotated[str, typer.Option(help=f"one of {', '.join(SERVICES)}")]
AnyService = Annotated[str, typer.Option(help=f"only this one of {', '.join(SERVICES)}")]
By = Annotated[str, typer.Option(help="who decides; it is kept", envvar="USER")]
Ids = Annotated[list[int] | None, typer.Argument(help="numbers from parked list; or choose by filter")]
Reason = Annotated[str, typer.Option(help="only with this reason")]
Account = Annotated[int | None, typer.Option(help="only of this account")]
Type = Annotated[str, typer.Option(help="only of this type, such as BillSettled")]
Since = Annotated[str, typer.Option(help="only parked since then: 2026-11-30 or 2026-11-30T08:00, in Shanghai")]

app = typer.Typer(no_args_is_help=True, help="Records that could not take effect: look, run again, or dismiss.")


@dataclass(frozen=True)
class Filter:
    status: str = "open"
    reason: str = ""
    account: int | None = None
    type: str = ""
    since: str = ""

    def chooses(self) -> bool:
        return bool(self.reason or self.account or self.type or self.since)

    def query(self, after: int, limit: int) -> str:
        since = _moment(self.since) if self.since else ""
        given = {"reason": self.reason, "account_id": self.account, "type": self.type, "since": since}
        wanted = {name: value for name, value in given.items() if value}
        return urlencode({"status": self.status, "after": after, "limit": limit, **wanted})

    def words(self) -> str:
        """The same choice, to be typed."""
        given = {"reason": self.reason, "account": self.account, "type": self.type, "since": self.since}
        asked = {"status": self.status} if self.status != "open" else {}
        return "".join(f" --{name} {value}" for name, value in (asked | given).items() if value)


@app.command("list")
def show_all(
    status: Annotated[str, typer.Option(help="open, redriven or dismissed")] = "open",
    service: AnyService = "",
    reason: Reason = "",
    account: Account = None,
    type: Type = "",  # noqa: A002
    since: Since = "",
    after: Annotated[int, typer.Option(help="go on after this number; needs --service")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="lines of each service at most")] = 50,
) -> None:
    """What is parked, in every service: newest last. A list that is not at its end says how it goes on."""
    wanted, silent, count = Filter(status, reason, account, type, since), [], 0
    if after and not service:
        stop("--after is a number of one service: name it with --service")
    for one in (chosen(service),) if service else SERVICES:
        try:
            shown, last, more = _page(one, wanted, after, limit)
        except (Silent, SaidNo) as why:
            silent.append(str(why))
            continue
        count += len(shown)
        for record in shown:
            typer.echo(_line(one, record))
        if more:
            typer.echo(
                f"{one}: there are more; go on with: kaipiao parked list --service {one}{wanted.words()} --limit {limit} --after {last}"
            )
    typer.echo(f"{count} shown")
    for one in silent:
        warn(one)
    if silent:
        raise typer.Exit(1)


def _page(service: str, wanted: Filter, after: int, limit: int) -> tuple[list[dict[str, Any]], int, bool]:
    """As many as were asked for, over as many answers as it takes; where it stopped, and whether there may be more."""
    found: list[dict[str, Any]] = []
    for _ in range(PAGES_MAX):
        told = ask(service, "GET", f"/ops/parked?{wanted.query(after, min(PAGE, limit - len(found)))}")
        found += told.content
        if (following := told.headers.get(NEXT)) is None:
            return found, after, False
        after = int(following)
        if len(found) >= limit:
            return found, after, True
    return found, after, True


def _line(service: str, record: dict[str, Any]) -> str:
    """Number, account, type, document, when it happened and when it was parked; then why."""
    account = record["account_id"] or "-"
    said = f"{record['type'] or '-':<20} {record['number'] or '-':<20} {_time(record['occurred_at'])}"
    head = f"{service:<12} {record['parked_id']:>5}  {account!s:>8}  {said}  parked {_time(record['parked_at'])}"
    place = f"{record['topic']} {record['partition']}/{record['offset']}"
    return f"{head}  {record['reason']}: {record['text']}  ({place})"


@app.command()
def show(
    parked_id: int,
    service: Service = "ledger",
    content: Annotated[
        bool, typer.Option("--content", help="also what it holds, which may be personal; it is logged")
    ] = False,
    by: By = "operator",
) -> None:
    """One record: where it lies, why it is parked, and what it says of itself. Its content only if asked for."""
    found = call(chosen(service), "GET", f"/ops/parked/{parked_id}")
    if content:
        found |= call(service, "POST", f"/ops/parked/{parked_id}/content", {"by": by})
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))


@app.command()
def redrive(
    ids: Ids = None,
    service: Service = "ledger",
    reason: Reason = "",
    account: Account = None,
    type: Type = "",  # noqa: A002
    since: Since = "",
    by: By = "operator",
) -> None:
    """Run one or many again, after their cause was mended. Each takes effect once at most. Ends with status 1 if one still cannot."""
    still = 0
    for parked_id in _chosen_ids(chosen(service), ids, Filter("open", reason, account, type, since)):
        try:
            answer = ask(service, "POST", f"/ops/parked/{parked_id}/redrive", {"by": by}).content
        except (Silent, SaidNo) as why:
            warn(f"{parked_id}: {why}")
            still += 1
            continue
        if answer["status"] == "redriven":
            typer.echo(f"{parked_id}: it took effect")
        else:
            typer.echo(f"{parked_id}: it still cannot take effect: {answer['reason']}: {answer['text']}")
            still += 1
    if still:
        raise typer.Exit(1)


@app.command()
def dismiss(
    comment: Annotated[str, typer.Option(help="why; it is kept")],
    ids: Ids = None,
    service: Service = "ledger",
    reason: Reason = "",
    account: Account = None,
    type: Type = "",  # noqa: A002
    since: Since = "",
    by: By = "operator",
) -> None:
    """Decide that one or many shall never take effect. Nothing is deleted."""
    failed = 0
    for parked_id in _chosen_ids(chosen(service), ids, Filter("open", reason, account, type, since)):
        try:
            ask(service, "POST", f"/ops/parked/{parked_id}/dismiss", {"by": by, "comment": comment})
        except (Silent, SaidNo) as why:
            warn(f"{parked_id}: {why}")
            failed += 1
            continue
        typer.echo(f"{parked_id}: dismissed")
    if failed:
        raise typer.Exit(1)


def _chosen_ids(service: str, ids: list[int] | None, wanted: Filter) -> Iterator[int]:
    """Those named; else those that a filter chooses, all of them. Never all by saying nothing."""
    if ids and wanted.chooses():
        stop("name numbers or a filter, not both")
    if ids:
        yield from ids
        return
    if not wanted.chooses():
        stop("name numbers, or choose with --reason, --account, --type or --since")
    after, count = 0, 0
    for _ in range(PAGES_MAX):
        try:
            shown, after, more = _page(service, wanted, after, PAGE)
        except (Silent, SaidNo) as why:
            stop(f"{why}; {count} were done before")
        for record in shown:
            count += 1
            yield record["parked_id"]
        if not more:
            if not count:
                stop(f"nothing open in {service} is chosen by{wanted.words()}")
            return
    stop(f"{count} were done, and there are more: type it again")


def _moment(text: str) -> str:
    try:
        wanted = datetime.fromisoformat(text)
    except ValueError:
        stop(f"{text} is no moment; write it as 2026-11-30 or 2026-11-30T08:00")
    return (wanted if wanted.tzinfo is not None else wanted.replace(tzinfo=SHANGHAI)).isoformat()


def _time(text: str | None) -> str:
    return "-" if text is None else f"{datetime.fromisoformat(text).astimezone(SHANGHAI):%Y-%m-%d %H:%M}"
