"""How long tests wait for an event that must come: a busy machine is no failure."""

PATIENCE_S = 90.0
