"""Speaks whole documents: chapters, one audio file or several, subtitles."""
