"""The demo: what billing teams publish, what customers ask for, and what comes of it. `python -m deploy.demo`; `make run` plays it.

scenario.py                     the story of four accounts; each step says what it expects, and the demo fails if that does not happen
accounts.jsonl, billing.jsonl   what upstream publishes, among it a duplicate, a late bill and three records that are parked
kept.py                         what a run leaves for the next one on the same data
client.py                       a customer's program and an operator's, over the public API
producer.py, consumer.py        complete examples for upstream and downstream teams, of some twenty lines
__main__.py                     plays the story and prints what came of it
"""
