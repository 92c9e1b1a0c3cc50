"""One of two processes that train a codec together; run by test_team.py as torchrun would.

python -m tests.recipes.codec_training.team_worker SPEECH OUT
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import torch
from codec_training.encoder import train_encoder
from codec_training.phone_recognizer import PhoneRecognizer
from codec_training.whole_codec import train_codec

from tests.recipes.codec_training.test_codec import CODEC, ENCODER, TINY

if __name__ == "__main__":
    torch.set_num_threads(1)
    speech, out = (Path(name) for name in sys.argv[1:])
    train_encoder(TINY, dataclasses.replace(ENCODER, batch=4), speech, out / "encoder")
    recognizer = PhoneRecognizer(24_000, dim=8)
    codec = train_codec(
        TINY, dataclasses.replace(CODEC, batch=4), speech, recognizer, out / "codec"
    )
    if torch.distributed.get_rank() == 1:
        torch.save(codec.state_dict(), out / "second.pt")
    torch.distributed.destroy_process_group()
