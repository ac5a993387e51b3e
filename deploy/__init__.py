"""What runs Kaipiao and what stands around it. No service imports anything from here.

local      `make run`: PostgreSQL, Kafka, the stand-ins and the services as processes of one machine
sandbox    stand-ins for the outside world: tax platform, SMS gateway, mail server
demo       a story of four accounts, played through the public API; and how upstream and downstream teams read and write Kafka
verify     `make verify`: the invariants, checked by code that shares nothing with the services
cli        `deploy/kaipiao`: the command line of operators
reference  documentation that is made from the code
"""
