"""Policy by properties: thousands of random arrivals, cancels, failures, deadlines."""

from __future__ import annotations

import random
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causerie.engine import scheduler as policy
from causerie.engine.request import CHUNK_ROWS, Request, Sampling, State, Ticket, chunk_ends
from causerie.engine.scheduler import MAX_SKIPPED, ROWS_WHILE_PLAYING, Plan, Scheduler
from causerie.errors import ConfigError, DeadlineError, QueueFullError

FRAME_S = 0.08
SAMPLING = Sampling(
    temperature=1.0, top_k=None, depth_temperature=1.0, depth_top_k=None, seed=0
)  # fmt: skip


def request(*part_ends: int, max_frames: int = 10, **more: Any) -> Request:
    ends = part_ends or (10,)
    return Request(
        rows=range(ends[-1]), part_ends=ends, max_frames=max_frames, sampling=SAMPLING, **more
    )


class World:
    """A scheduler with a simulated runner."""

    def __init__(self, num_slots: int = 2, max_queue: int = 100, **seconds: float) -> None:
        self.scheduler = Scheduler(num_slots, max_queue=max_queue, frame_s=FRAME_S)
        self.now = 0.0
        self.row_s, self.step_s = seconds.get("row_s", 1e-4), seconds.get("step_s", 0.01)
        self.length: dict[Ticket, int] = {}  # frames after which the model stops by itself
        self.tickets: list[Ticket] = []

    def submit(self, asked: Request, length: int = 10**9) -> Ticket:
        ticket = self.scheduler.submit(asked, self.now)
        self.length[ticket] = length
        self.tickets.append(ticket)
        return ticket

    def step(self) -> Plan:
        """What the engine does in a step; the plan, checked."""
        scheduler = self.scheduler
        before = list(scheduler.waiting)
        admitted = scheduler.admit(self.now)
        assert admitted == before[: len(admitted)]
        assert not scheduler.waiting or len(scheduler.active) == scheduler.num_slots
        plan = scheduler.plan(self.now)
        self.check(plan)
        num_rows = 0
        for ticket, end in plan.reads:
            num_rows += end - ticket.num_read
            scheduler.read(ticket, end)
        self.now += num_rows * self.row_s + self.step_s
        for ticket in plan.speaks:
            if ticket.num_frames == self.length[ticket]:
                scheduler.finish(ticket, State.ENDED)
                continue
            scheduler.count_frame(ticket, self.now)
            if ticket.num_frames == ticket.request.max_frames:
                scheduler.finish(ticket, State.LIMIT)
        scheduler.count_step(plan.speaks)
        scheduler.measure(self.step_s, num_rows, num_rows * self.row_s)
        return plan

    def check(self, plan: Plan) -> None:
        scheduler, active = self.scheduler, self.scheduler.active
        assert sorted([*active, *scheduler._free]) == list(range(scheduler.num_slots))
        assert all(ticket.slot == slot for slot, ticket in active.items())
        assert bool(plan.reads or plan.speaks) == bool(active)  # always somebody goes on
        # Reads: in order, none twice, whole chunks.
        readers = sorted(
            (ticket for ticket in active.values() if ticket.state is State.READING),
            key=lambda ticket: ticket.order,
        )
        assert [ticket for ticket, _ in plan.reads] == readers[: len(plan.reads)]
        assert bool(plan.reads) == bool(readers)  # the oldest reader always goes on
        assert all(end in ticket.ends and end > ticket.num_read for ticket, end in plan.reads)
        speaking = [ticket for ticket in active.values() if ticket.state is State.SPEAKING]
        playing = [ticket for ticket in speaking if ticket.request.realtime]
        if playing and plan.reads:
            lead = min(ticket.lead(self.now) for ticket in playing)
            first, _ = plan.reads[0]
            chunk = next(end for end in first.ends if end > first.num_read) - first.num_read
            num_rows = sum(end - ticket.num_read for ticket, end in plan.reads)
            spare = min((lead - scheduler.margin_s) / 2, FRAME_S) / (scheduler.row_s or 1)
            assert num_rows <= max(chunk, ROWS_WHILE_PLAYING, spare)
        # Speaks: who can, none twice, nobody passed over for long.
        ready = [ticket for ticket, end in plan.reads if end == ticket.ends[-1]]
        assert len(set(plan.speaks)) == len(plan.speaks)
        assert set(plan.speaks) <= {*speaking, *ready}
        assert all(ticket.num_skipped <= MAX_SKIPPED for ticket in speaking)
        for ticket in {*speaking, *ready} - set(plan.speaks):
            assert ticket.lead(self.now) >= scheduler.margin_s

    def drain(self, limit: int = 10_000) -> int:
        """Steps until nobody is left."""
        for count in range(limit):
            self.scheduler.expire(self.now)
            if not self.scheduler.active and not self.scheduler.waiting:
                return count
            self.step()
        raise AssertionError("somebody waits for ever")


def random_request(rng: random.Random) -> Request:
    ends = sorted({rng.randint(1, 300) for _ in range(rng.randint(1, 4))})
    return request(
        *ends,
        max_frames=rng.randint(1, 40),
        realtime=rng.random() < 0.7,
        priority=rng.choice([0, 0, 0, 1, -1]),
        deadline_s=rng.choice([None, None, None, 0.3, 2.0]),
    )


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.integers(0, 2**32))
def test_random_schedules_leak_no_slot_and_starve_no_request(seed: int) -> None:
    rng = random.Random(seed)
    world = World(
        num_slots=rng.randint(1, 5),
        max_queue=rng.randint(0, 6),
        row_s=rng.choice([1e-5, 1e-3, 4e-3]),
        step_s=rng.choice([0.001, 0.04, 0.07, 0.1]),
    )
    scheduler = world.scheduler
    for _ in range(rng.randint(1, 40)):
        for _ in range(rng.choice([0, 0, 1, 2, 5])):
            full = len(scheduler.waiting) >= scheduler.max_queue + len(scheduler._free)
            with pytest.raises(QueueFullError) if full else nullcontext():
                world.submit(random_request(rng), length=rng.choice([0, 1, 5, 10**9]))
        for ticket in rng.sample(world.tickets, min(len(world.tickets), rng.choice([0, 0, 1, 2]))):
            state = rng.choice([State.CANCELLED, State.FAILED])
            was, error = ticket.state, RuntimeError("made up")
            scheduler.finish(ticket, state, error)
            assert ticket.state is (was if was.is_done else state)
            assert ticket.slot is None
        scheduler.expire(world.now)
        if rng.random() < 0.9:
            world.step()
        else:
            world.now += rng.random()
    num_frames = sum(ticket.request.max_frames + 5 for ticket in world.tickets)
    assert world.drain() <= num_frames * (MAX_SKIPPED + 1) + 1
    assert sorted(scheduler._free) == list(range(scheduler.num_slots))
    for ticket in world.tickets:
        assert ticket.is_done
        assert ticket.slot is None
        assert (ticket.error is not None) == (ticket.state in (State.CANCELLED, State.FAILED))
        if ticket.state is State.LIMIT:
            assert ticket.num_frames == ticket.request.max_frames
        if ticket.state is State.ENDED:
            assert ticket.num_frames == world.length[ticket]


# -- order -----------------------------------------------------------------------------------------


def test_first_come_first_served_but_for_priority() -> None:
    world = World(num_slots=1)
    plain = [world.submit(request(max_frames=1)) for _ in range(3)]
    urgent = world.submit(request(max_frames=1, priority=1))
    late = world.submit(request(max_frames=1, priority=-1))
    spoke = [ticket for _ in range(5) for ticket in world.step().speaks]
    assert spoke == [urgent, *plain, late]


def test_a_full_queue_names_the_cure_and_free_slots_do_not_count() -> None:
    world = World(num_slots=2, max_queue=1)
    for _ in range(3):
        world.submit(request())
    with pytest.raises(QueueFullError, match=r"3 requests wait for one of 2 streams.*try again"):
        world.submit(request())
    world.step()
    with pytest.raises(QueueFullError) as caught:
        world.submit(request())
    assert caught.value.num_waiting == 1


def test_a_full_queue_takes_a_place_of_the_client_with_the_most() -> None:
    world = World(num_slots=1, max_queue=4)
    for client in "aaabb":
        world.submit(request(client=client))
        world.step()
    assert world.scheduler.make_room(request(client="a")) is None, "it has the most itself"
    assert world.scheduler.make_room(request(client="c", continues=True)) is None
    assert world.scheduler.make_room(request(client="c", priority=-1)) is None
    latest = world.tickets[2]
    assert world.scheduler.make_room(request(client="c")) is latest
    assert isinstance(latest.error, QueueFullError)
    world.submit(request(client="c"))
    # Now each has at most one more than the others would have.
    for client in "abc":
        assert world.scheduler.make_room(request(client=client)) is None
    assert world.scheduler.make_room(request(client="d")) is not None


def test_a_free_slot_goes_to_the_client_with_the_fewest() -> None:
    world = World(num_slots=2, max_queue=9)
    for client in "aaaabbc":
        world.submit(request(client=client))
    urgent = world.submit(request(client="a", priority=1))
    order = []
    while world.scheduler.waiting:
        order += world.scheduler.admit(0.0)
        world.scheduler.finish(order[-1], State.ENDED)
    assert order[0] is urgent
    assert [ticket.request.client for ticket in order] == list("abcbaaaa")


def test_a_cancelled_request_is_out_of_the_next_step() -> None:
    world = World(num_slots=1)
    first, second = world.submit(request()), world.submit(request())
    assert world.step().speaks == [first]
    world.scheduler.finish(first, State.CANCELLED)
    assert world.step().speaks == [second]
    assert first.num_frames == 1


# -- reading ---------------------------------------------------------------------------------------


def test_chunks_end_where_parts_do_and_every_so_many_rows_within() -> None:
    assert chunk_ends([10]) == (10,)
    assert chunk_ends([64, 65]) == (64, 65)
    assert chunk_ends([70, 300]) == (64, 70, 134, 198, 262, 300)
    assert all(b - a <= CHUNK_ROWS for a, b in pairwise((0, *chunk_ends([5, 999, 1_000]))))


def test_a_prompt_is_read_whole_without_listeners() -> None:
    world = World()
    ticket = world.submit(request(150, 500))
    plan = world.step()
    assert plan.reads == [(ticket, 500)]
    assert plan.speaks == [ticket]


def test_while_somebody_plays_few_rows_are_read_a_step() -> None:
    world = World(num_slots=3, row_s=1e-3)
    playing = world.submit(request(max_frames=100))
    world.step()
    big, small = world.submit(request(150, 500)), world.submit(request(8))
    read = [world.step().reads for _ in range(10)]
    assert read[:2] == [[(big, 64)], [(big, 128)]]
    assert read[2] == [(big, 150), (small, 8)]  # of the 64 rows, 42 were left
    assert read[3:9] == [[(big, end)] for end in (214, 278, 342, 406, 470, 500)]
    assert playing.num_frames == 10  # once it waited for who had no sound yet
    assert playing.num_underruns == 0


def test_the_more_lead_playing_streams_have_the_more_is_read() -> None:
    world = World(row_s=1e-4, step_s=0.005)
    world.submit(request(max_frames=10_000))
    for _ in range(50):
        world.step()
    reader = world.submit(request(2_000, 2_010))
    world.step()  # learned before: a row takes 0.1 ms; and the lead is seconds
    assert reader.num_read > 10 * ROWS_WHILE_PLAYING


def test_batch_prompts_are_read_whole_beside_batch_requests() -> None:
    world = World(num_slots=4)
    tickets = [world.submit(request(500, realtime=False)) for _ in range(4)]
    assert world.step().reads == [(ticket, 500) for ticket in tickets]


def test_a_ready_listener_does_not_wait_for_long_prompts() -> None:
    world = World(num_slots=3, row_s=1e-3)
    world.submit(request(500, max_frames=1))
    world.drain()
    first, second = world.submit(request(500)), world.submit(request(500))
    plan = world.step()
    assert plan.reads == [(first, 500)]
    assert plan.speaks == [first]
    assert second.num_read == 0


# -- playback --------------------------------------------------------------------------------------


@pytest.mark.parametrize("step_s", [0.005, 0.04, 0.079])
def test_no_underruns_on_a_fast_machine(step_s: float) -> None:
    """Steps with reads take less time than a frame plays."""
    world = World(num_slots=4, step_s=step_s, row_s=(FRAME_S - step_s) / 64 / 1.01)
    tickets = []
    for count in range(60):
        if count % 7 == 0:
            tickets.append(world.submit(request(100, 150, max_frames=30)))
        world.step()
    world.drain()
    assert len(tickets) == 9
    assert sum(ticket.num_underruns for ticket in tickets) == 0


def test_underruns_are_counted_on_a_slow_machine() -> None:
    world = World(step_s=0.1)
    ticket = world.submit(request(max_frames=20))
    world.drain()
    assert ticket.num_underruns == 19  # each frame but the first came too late


def test_listeners_with_a_lead_wait_for_those_without() -> None:
    world = World(num_slots=3, step_s=0.01)
    ahead = world.submit(request(max_frames=200))
    batch = world.submit(request(max_frames=200, realtime=False))
    for _ in range(30):
        world.step()
    before = ahead.num_frames
    newcomer = world.submit(request(max_frames=200))
    assert world.step().speaks == [newcomer]
    assert ahead.num_frames == before
    assert ahead.lead(world.now) > 1
    assert set(world.step().speaks) == {ahead, batch, newcomer}  # all have a lead again


def test_batch_work_goes_on_beside_listeners_on_a_machine_that_is_too_slow() -> None:
    world = World(num_slots=2, step_s=0.1)
    world.submit(request(max_frames=100))
    batch = world.submit(request(max_frames=10, realtime=False))
    for _ in range(10 * (MAX_SKIPPED + 2)):
        world.step()
    assert batch.state is State.LIMIT


def test_a_late_consumer_has_no_underrun() -> None:
    ticket = Ticket(number=0, request=request(), arrived=0.0)
    assert not ticket.count_frame(1.0, FRAME_S, awaited=True)
    assert ticket.first_sound_s == 1.0
    ticket.restart_late_playback(5.0)
    assert not ticket.count_frame(5.1, FRAME_S, awaited=True)
    assert not ticket.count_frame(6.0, FRAME_S, awaited=False)
    assert ticket.count_frame(7.0, FRAME_S, awaited=True)
    assert ticket.num_underruns == 1


# -- deadlines -------------------------------------------------------------------------------------


def test_a_deadline_ends_waiting_and_reading_requests_only() -> None:
    world = World(num_slots=2, row_s=0.01)
    sounding = world.submit(request(max_frames=1_000, deadline_s=0.5))
    reading = world.submit(request(500, deadline_s=0.5))
    waiting = world.submit(request(deadline_s=0.5))
    world.step()
    world.now += 1
    assert set(world.scheduler.expire(world.now)) == {reading, waiting}
    assert not sounding.is_done
    assert isinstance(waiting.error, DeadlineError)
    assert "waited for a stream for 1." in str(waiting.error)
    assert "had 0.5 s to the first audio" in str(waiting.error)
    assert "began, but had no audio" in str(reading.error)


# -- requests --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"part_ends": ()}, "part_ends must rise to the 10 rows"),
        ({"part_ends": (5, 5, 10)}, "part_ends must rise"),
        ({"part_ends": (0, 10)}, "part_ends must rise"),
        ({"part_ends": (5, 9)}, "part_ends must rise"),
        ({"max_frames": 0}, "max_frames must be at least 1, not 0"),
        ({"deadline_s": 0}, "deadline_s must be seconds above 0, not 0"),
    ],
)
def test_requests_that_mean_nothing(change: dict[str, Any], message: str) -> None:
    usual = {"rows": range(10), "part_ends": (10,), "max_frames": 1, "sampling": SAMPLING}
    with pytest.raises(ConfigError, match=message):
        Request(**usual | change)


def test_the_policy_knows_no_tensors() -> None:
    assert not {"torch", "np", "numpy"} & set(vars(policy))
