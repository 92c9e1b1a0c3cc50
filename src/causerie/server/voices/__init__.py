"""Uploaded voices, recorded consents, and the files that hold them."""
