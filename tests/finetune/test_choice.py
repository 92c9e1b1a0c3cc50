"""The choice of a checkpoint."""

from __future__ import annotations

from causerie.finetune.choice import choose, qualifies

BASE = {"wer": 0.03, "similarity": 0.70, "stopped": 1.0}


def figures(wer: float, similarity: float, stopped: float = 1.0) -> dict[str, float]:
    return {"wer": wer, "similarity": similarity, "stopped": stopped}


def test_the_most_similar_qualified_checkpoint_is_chosen() -> None:
    found = choose(
        {
            50: figures(0.03, 0.75),
            100: figures(0.04, 0.82),  # a point more is allowed
            150: figures(0.05, 0.88),
            200: figures(0.03, 0.90, stopped=0.98),
        },
        BASE,
    )
    assert (found.step, found.qualified, found.warnings) == (100, (50, 100), ())
    assert found.why.startswith("step 100 is the most similar of the 2 of 4 checkpoints")


def test_stops_are_compared_with_the_base() -> None:
    assert qualifies(figures(0.03, 0.9, stopped=0.95), {**BASE, "stopped": 0.96})
    assert not qualifies(figures(0.03, 0.9, stopped=0.94), {**BASE, "stopped": 0.96})


def test_without_a_qualified_one_the_lowest_error_rate_is_chosen_with_a_warning() -> None:
    found = choose({50: figures(0.06, 0.80), 100: figures(0.09, 0.85)}, BASE)
    assert (found.step, found.qualified) == (50, ())
    (warning,) = found.warnings
    assert "no checkpoint is within one point of the base in word error rate and stops" in warning
    assert "a word error rate of 6.0% (base 3.0%)" in warning


def test_a_voice_that_is_not_more_similar_has_a_warning() -> None:
    found = choose({50: figures(0.03, 0.69), 100: figures(0.03, 0.68)}, BASE)
    assert found.step == 50
    (warning,) = found.warnings
    assert warning.startswith("training did not make the voice more similar: 0.69, and 0.70")


def test_among_equals_the_earliest_is_chosen() -> None:
    same = figures(0.03, 0.8)
    assert choose({100: same, 50: same}, BASE).step == 50
    same = figures(0.9, 0.8)
    assert choose({100: same, 50: same}, BASE).step == 50
