"""The invariants of Kaipiao, checked by somebody else: this package shares no code with services or runtime. It reads databases,
topics and the tax platform's own log, and knows every table by its name only. `python -m deploy.verify` runs it against the stack.
"""
