"""Documentation that is made from the code. `python -m deploy.reference` writes it; tests/unit/test_reference.py says when to.

files.py      every file and what makes it: a new page is one line there
contracts.py  docs/contracts/*.json, a JSON Schema of each message, and what would break one that is published
asyncapi.py   docs/asyncapi.json, the topics and who writes them
settings.py   docs/settings.md, the environment variables
states.py     docs/states/*.md, the lives of an invoice and of a credit note, from the tables the services go by
schemas.py    services/*/schema.sql, each database as it is after all migrations. It needs a PostgreSQL, so it has a door of its own:
              `make schema`, and tests/integration/test_schemas.py
"""
