"""What hostile clients send: connections, bodies and recordings that must hurt nobody else."""
