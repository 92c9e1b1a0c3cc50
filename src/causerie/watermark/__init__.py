"""The watermark of speech: a key, the pattern that it gives, marking of streams, and detection.

docs/watermark.md says what it is for and what it withstands.
"""
