"""Apache Kafka on this machine: real brokers in KRaft mode, one or three, small enough for a laptop."""
