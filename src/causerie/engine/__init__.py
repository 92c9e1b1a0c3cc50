"""The engine: it queues requests, assigns slots, and computes a frame of each request per step.

`request` and `scheduler` are plain Python; a `Runner` does the computation.
"""
