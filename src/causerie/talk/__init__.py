"""Spoken conversation: ears that hear turns, and minds that answer them."""
