"""Worked examples: small stories with expected facts, played through the production handlers with a virtual clock."""
