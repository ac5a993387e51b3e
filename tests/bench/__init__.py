"""Measurements, each beside its yardstick from the same run. Medians; one JSON line for each in `var/bench.jsonl`."""
