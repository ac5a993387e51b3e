"""The nemesis: seeded schedules of faults under load, on three brokers, a PostgreSQL pair and two replicas of each service."""
