"""The machine room: Kafka, PostgreSQL, HTTP, time. Services state what they do; everything that can go wrong is handled here."""
