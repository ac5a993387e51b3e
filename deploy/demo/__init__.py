"""The demo scenario: what a billing team publishes, what customers ask for, and what comes of it. `python -m deploy.demo`."""
