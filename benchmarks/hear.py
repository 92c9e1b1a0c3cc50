"""Prints the word error rate of speech that `benchmarks/gpu.py` kept; needs the extra `verify`.

python benchmarks/hear.py gpu-run/sound
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from causerie.audio.audio import Audio
from causerie.errors import CauserieError
from causerie.recognition.whisper import RATE, packaged_recognizer
from causerie.recognition.words import compare


def main(folder: Path) -> int:
    """Print what is heard of each text, and the errors per word of all."""
    hear = packaged_recognizer()
    if hear is None:
        print("hear: pip install 'causerie[verify]'", file=sys.stderr)
        return 2
    texts: dict[str, str] = json.loads((folder / "texts.json").read_text("utf-8"))
    heard = []
    for name, text in texts.items():
        heard.append(hear(Audio.load(folder / name).resampled(RATE)))
        print(f"{name}: {text}\n{' ' * len(name)}  {heard[-1]}")
    words = compare(list(texts.values()), heard)
    print(f"word error rate {100 * words.wer:.1f} %, {words.words} words")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1])))
    except (IndexError, OSError, ValueError, CauserieError) as error:
        sys.exit(f"hear: {error}: python benchmarks/hear.py gpu-run/sound")
