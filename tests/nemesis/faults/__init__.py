"""What each kind of fault does: `begin` and `heal`."""
