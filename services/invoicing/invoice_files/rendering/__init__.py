"""The files of an issued invoice: what is printed (`face`), as XML and PDF (`render`), made off the event loop (`renderer`)."""
