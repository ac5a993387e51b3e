"""`kaipiao`: the command line of whoever operates the system. People type `deploy/kaipiao`, which runs `python -m deploy.cli`.

app.py       all commands on one page
parked.py    records that could not take effect: list, show, redrive, dismiss
clock.py     the test clock: show, set, advance
api_keys.py  keys for customers' programs: create
ledger.py    the ledger's books: rebuild, or only compare. It reads the ledger's database, so that the answer does not depend on the service
status.py    whether each service is ready
routes.py    how all but `ledger` ask: the services' operator routes over HTTP with the operators' token

What runs is read from var/endpoints.json. An answer a person can act on is one line on stderr, with exit status 1.
"""
