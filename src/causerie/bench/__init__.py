"""How fast speech is made: ours and others' side by side, in one run, beside the memory's limit."""
