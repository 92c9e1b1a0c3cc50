"""The language model of CSM: pure tensors; no files, tokenizer or codec."""
