"""Recorded speech, from a folder of sound files to shards of codes that training reads."""
