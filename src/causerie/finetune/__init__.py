"""A new voice from recordings: prepares, trains, judges, chooses, writes.

Puts together what data, train and evaluate do, and knows nothing of terminals.
"""
