"""How much sound is handed out at once: little at first, more as playback has a lead.

The first two pieces are a frame each, so that sound starts as soon as there is any. Later ones
grow, which spares calls and packets, but only so far that the listener has enough to play until
the next piece is there, should each of its frames take as long as it sounds, and one frame more.
So whoever plays the pieces as they come never runs dry where steps take less than a frame sounds.
"""

from __future__ import annotations

#: Frames of the largest pieces.
MAX_PIECE = 8
#: So many pieces of one frame come first.
NUM_SINGLE = 2


class ChunkSizes:
    """Sizes of the pieces of one stream; times come in as arguments.

    Args:
        frame_s: seconds of sound to a frame.
    """

    def __init__(self, frame_s: float) -> None:
        self.frame_s = frame_s
        self._num_handed = 0
        self._largest = 1
        self._played_at = 0.0  # when all that was handed out is played

    def size(self, now: float, num_ready: int = 0) -> int:
        """Frames of the next piece, of which so many are there already."""
        if self._num_handed < NUM_SINGLE:
            return 1
        lead = max(0.0, self._played_at - now - self.frame_s)
        safe = num_ready + int(lead / self.frame_s + 1e-6)  # 0.16 / 0.08 shall be 2
        return max(1, min(safe, 2 * self._largest, MAX_PIECE))

    def handed(self, num_frames: int, now: float) -> None:
        """Count a piece that is handed out now."""
        self._num_handed += 1
        self._largest = max(self._largest, num_frames)
        start = now if self._num_handed == 1 else max(now, self._played_at)
        self._played_at = start + num_frames * self.frame_s
