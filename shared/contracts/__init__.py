"""Messages between services: frozen pydantic models and nothing else. Start reading at `topics.py`."""
