"""The question before a recording becomes a voice, and what voices keep of the answer.

The commands, the server and its page ask in these words, and in no others.
"""

from __future__ import annotations

from datetime import datetime, timezone

QUESTION = "Does the speaker consent to being imitated?"
#: What a voice keeps in place of a consent if its recording is causerie's own speech.
OWN_SPEECH = "not needed, the recording is speech of causerie"


def missing(recording: object, remedy: str) -> str:
    """The message of an error: the question has no answer.

    Args:
        recording: its name.
        remedy: how to say yes.
    """
    return f"nothing was made of {recording}, as consent is missing. {QUESTION} If so, {remedy}"


def today() -> str:
    """The date on which a consent is stated, such as 2026-01-31, in UTC."""
    return datetime.now(timezone.utc).date().isoformat()
