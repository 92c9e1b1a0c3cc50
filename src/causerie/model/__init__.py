"""The language model of CSM: pure tensors, no files, no tokenizer, no codec."""
