"""`kaipiao`: the command line of whoever operates the system. People type `deploy/kaipiao`, which runs `python -m deploy.cli`.

app.py       all commands on one page
parked.py    records that could not take effect: list, show, redrive and dismiss one or many
clock.py     the test clock: show, set, advance
api_keys.py  keys for customers' programs: create
ledger.py    the ledger's books: rebuild, or only compare. It reads the ledger's database, so that the answer does not depend on the service
status.py    whether each process is ready, every replica
routes.py    how all but `ledger` ask: the services' operator routes over HTTP with the operators' token

What runs is read from var/endpoints.json. Whoever does not answer is named in one line on stderr; a command that asks several goes on with
the others; and the exit status is 1.
"""
