"""Every command of `kaipiao` on one page."""

import typer

from deploy.cli import account, api_keys, clock, ids, ledger, parked, status

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # it would show what variables hold
    help="Kaipiao, for operators.",
)
app.add_typer(parked.app, name="parked")
app.add_typer(ledger.app, name="ledger")
app.add_typer(clock.app, name="clock")
app.add_typer(account.app, name="account")
app.add_typer(ids.app, name="ids")
app.add_typer(api_keys.app, name="api-keys")
app.command("status")(status.status)
