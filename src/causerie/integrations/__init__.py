"""Plugins for voice-agent frameworks; each module needs the extra of its name."""
