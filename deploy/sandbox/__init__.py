"""Stand-ins for the outside world: real servers behind real protocols, each a process with storage of its own. No invoice they issue is
real: each is marked as a specimen.

tax_platform  issues blue and red invoices, some time after it accepted them and once for each serial; with quotas, callbacks and a log
sms_gateway   takes a message under the sender's id, once
smtp_sink     a mail server that keeps what it gets
process.py    how each of them runs
"""
