"""The server on Ray Serve: the deployment and middlewares for Ray's HTTP proxies."""
