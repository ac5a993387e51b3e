"""`kaipiao account`: the personal data of an account, and their erasure."""

from typing import Annotated, Any

import typer

from deploy.cli.routes import call

app = typer.Typer(no_args_is_help=True, help="Personal data of an account.")


@app.command()
def erase(
    account_id: int,
    reason: Annotated[str, typer.Option(help="why: the number of a case, or a few words; it is kept")],
    by: Annotated[str, typer.Option(help="who decides; it is kept", envvar="USER")] = "operator",
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
) -> None:
    """Erase them for good: keys, titles, mailbox and phone. Open requests are cancelled; issued invoices and their files stay."""
    if not yes:
        typer.confirm(f"The personal data of account {account_id} cannot be brought back. Erase them?", abort=True)
    _tell(call("title", "POST", f"/ops/accounts/{account_id}/erasure", {"by": by, "reason": reason}))


@app.command()
def erasure(account_id: int) -> None:
    """How far the erasure of an account is."""
    _tell(call("title", "GET", f"/ops/accounts/{account_id}/erasure"))


def _tell(view: dict[str, Any]) -> None:
    account_id = view["account_id"]
    if view["state"] == "erased":
        typer.echo(f"account {account_id}: erased at {view['ended_at']}")
    else:
        typer.echo(
            f"account {account_id}: started at {view['started_at']}; the keys go when nothing is under way any more: "
            f"kaipiao account erasure {account_id}"
        )
