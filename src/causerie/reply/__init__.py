"""Replies: turns of text become requests to the engine, and their audio becomes a stream."""
