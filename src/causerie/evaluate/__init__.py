"""What a model's speech is worth, in numbers: `run.evaluate` and the command `causerie eval`.

Each metric is a file of its own with functions of sound, text or codes; packages that a metric
needs are imported when it is first used. Nothing here trains or changes a model.
"""
