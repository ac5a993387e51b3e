"""`make run`: the whole system on one machine, as processes under one supervisor. It needs no container engine and asks nothing.

__main__.py    the doors the Makefile calls; a failure that a person can mend is one line
doors.py       the small ones: status, stop, clean-data, and what the first set-up asks
setup.sh       the first set-up: Python packages, Java, Maven; Kafka's jars
options.py     what was asked for, from the environment and .env
plan.py        what runs: every program with its port and its settings; starts nothing
supervisor.py  one run: holds the lock, brings the stack up, plays the demo, takes everything down
stack.py       the stack while it runs: brought up in order, restarted when it ends, taken down in order
process.py     a child process that dies with its parent, and finding what a killed run left behind
postgres.py    PostgreSQL from a wheel or from Debian's packages
kafka/         Kafka from its jars: one node or three
ports.py       the usual port, or the next free one
folders.py     where things are kept: state, cache, logs
keys.py        secrets of this checkout
secure.py      SECURE=1: certificates, and who logs in at Kafka
acls.py        SECURE=1: topics, and who may read and write which
notes.py       var/endpoints.json, and who is running
web.py         does an address answer?
"""
