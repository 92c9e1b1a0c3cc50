"""The parts of OpenAI's Realtime protocol, which `routes/realtime.py` connects."""
