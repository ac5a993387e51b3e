"""Seeded simulation: all services of the flow on real SQL, with faults far above nature's rate; a seed replays exactly."""
