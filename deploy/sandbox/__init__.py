"""Stand-ins for the outside world: honest servers behind real protocols, with storage of their own. Every document is a specimen."""
