"""A tax platform as providers run them: it accepts a draft, issues the invoice later, and gives the same serial the same answer for ever.

core.py       what it decides about blue invoices and quotas, without protocol or storage; the triggers for tests
red.py        red invoices and their confirmation forms
checks.py     what a draft is refused for
records.py    what it remembers, and what it answers
disk.py       storage that survives a SIGKILL; memory.py is the same for one process's life
server.py     the routes; faults.py what goes wrong on the wire when a test wishes it; callbacks.py how callers hear of an end
direct.py     the same platform without HTTP, behind the port of invoicing: for simulation and worked examples
"""
