"""Recognizes speech, and compares its words with a text."""
