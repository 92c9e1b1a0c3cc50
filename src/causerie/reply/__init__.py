"""Replies: turns become requests, and requests become streams of audio."""
