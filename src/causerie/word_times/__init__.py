"""When each word of a text is spoken, found in the audio."""
