"""The parts of a session of OpenAI's Realtime protocol, which `routes/realtime.py` connects.

    input_buffer            finds turns in the user's sound
    turns                   makes each an item, and has it answered
    responses               begins and ends responses
    new_responses           finds what one says, and begins to generate it
    delivery, tool_calls    send it
    items, new_items        the conversation, and what the client adds to it

Each uses only those below it. All work with the state of the session: its `settings`, whose turn it
is (`floor`), and what replies have heard (`memory`, of the items).
"""
