"""The live stack: every program as a process of its own, on a real PostgreSQL and a real Kafka, while things are killed."""
