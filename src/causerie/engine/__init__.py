"""Many replies at once: requests, slots, and the loop that computes a frame of each.

`request` and `scheduler` are plain Python; a `Runner` computes.
"""
