"""`kaipiao api-keys`: keys for customers' programs."""

import typer

from deploy.cli.routes import call

app = typer.Typer(no_args_is_help=True, help="Keys for customers' programs.")


@app.command()
def create(account_id: int, name: str) -> None:
    """A new key for an account. It is shown once."""
    typer.echo(call("gateway", "POST", "/ops/api-keys", {"account_id": account_id, "name": name})["api_key"])
