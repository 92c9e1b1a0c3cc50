"""Sizes of a stream's chunks: small at first, larger as playback gains a lead.

The first two chunks are one frame each, so that playback starts early. Later chunks grow, which
saves calls and packets. A chunk is only as large as the listener's lead allows, less one frame,
if each of its frames takes as long to compute as to play. So a listener who plays chunks as they
arrive has no underrun while the engine is faster than real time.
"""

from __future__ import annotations

#: Frames of the largest chunks.
MAX_CHUNK = 8
#: Chunks of one frame at the start.
NUM_SINGLE = 2


class ChunkSizes:
    """The chunk sizes of one stream; times come in as arguments.

    Args:
        frame_s: seconds of audio in a frame.
    """

    def __init__(self, frame_s: float) -> None:
        self.frame_s = frame_s
        self._num_chunks = 0
        self._largest = 1
        self._played_at = 0.0  # when all chunks so far are played

    def size(self, now: float, num_ready: int = 0) -> int:
        """Frames of the next chunk, if `num_ready` frames are ready."""
        if self._num_chunks < NUM_SINGLE:
            return 1
        lead = max(0.0, self._played_at - now - self.frame_s)
        safe = num_ready + int(lead / self.frame_s + 1e-6)  # 0.16 / 0.08 shall be 2
        return max(1, min(safe, 2 * self._largest, MAX_CHUNK))

    def count(self, num_frames: int, now: float) -> None:
        """Count a chunk that is delivered now."""
        self._num_chunks += 1
        self._largest = max(self._largest, num_frames)
        start = now if self._num_chunks == 1 else max(now, self._played_at)
        self._played_at = start + num_frames * self.frame_s
