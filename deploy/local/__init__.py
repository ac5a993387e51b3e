"""Starts the whole system on one machine, without containers and without asking anything."""
