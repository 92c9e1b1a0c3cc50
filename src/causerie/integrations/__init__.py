"""causerie as a service of frameworks for agents that speak; each module needs its extra."""
