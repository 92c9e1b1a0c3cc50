"""The server on Ray Serve: the deployment, and its HTTP proxy."""
