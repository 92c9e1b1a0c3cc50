#include "pool.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include <pthread.h>
#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace causerie {
namespace {

using Body = void (*)(void*, int64_t);

// How long a thread spins for work before it sleeps. Longer spinning slows everything down when
// another process uses a core.
constexpr auto kSpin = std::chrono::microseconds(15);

// The next chunk is in the low half of a ticket, the number of the job in the high half.
constexpr uint64_t kChunk = 0xffffffff;
constexpr uint64_t kClosed = 0x80000000;  // a chunk that no job has

thread_local bool inside = false;  // in a body, which must not start other work

// More threads than these wait for memory, and cost more to wake than they save.
constexpr int kMostByDefault = 16;

int usable_cores() {
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
    return static_cast<int>(std::thread::hardware_concurrency());
}

void relax() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Whether `ready` becomes true while spinning.
template <class Ready>
bool spin(Ready&& ready) {
    const auto end = std::chrono::steady_clock::now() + kSpin;
    do {
        for (int i = 0; i < 16; ++i) {
            if (ready()) return true;
            relax();
        }
    } while (std::chrono::steady_clock::now() < end);
    return false;
}

// std::condition_variable::wait, which would need the libstdc++ of GCC 12: a library built here is to
// run on systems as old as manylinux_2_28 allows.
template <class Ready>
void wait_until(Ready&& ready, std::condition_variable& wake, std::unique_lock<std::mutex>& lock) {
    while (!ready()) pthread_cond_wait(wake.native_handle(), lock.mutex()->native_handle());
}

}  // namespace

struct Pool::State {
    int num_threads = 1;
    std::vector<std::thread> workers;
    std::atomic_flag busy = ATOMIC_FLAG_INIT;

    // The job. `num_chunks`, `body` and `context` change only while the ticket is closed. A thread reads
    // them between reading the ticket and drawing a chunk, so they belong to the chunk it drew.
    std::atomic<uint64_t> ticket{kClosed};
    std::atomic<uint64_t> num_chunks{0};
    std::atomic<Body> body{nullptr};
    std::atomic<void*> context{nullptr};
    std::atomic<int64_t> unfinished{0};

    std::mutex mutex;
    std::condition_variable wake, done;
    std::atomic<int> sleeping{0};
    std::atomic<bool> caller_sleeps{false};
    std::atomic<bool> stop{false};

    bool has_work() const {
        const uint64_t drawn = ticket.load(std::memory_order_seq_cst);
        return (drawn & kChunk) < num_chunks.load(std::memory_order_acquire);
    }

    // Works while there are chunks to draw.
    void work() {
        inside = true;
        uint64_t drawn = ticket.load(std::memory_order_acquire);
        while ((drawn & kChunk) < num_chunks.load(std::memory_order_acquire)) {
            Body run = body.load(std::memory_order_acquire);
            void* with = context.load(std::memory_order_acquire);
            if (!ticket.compare_exchange_strong(drawn, drawn + 1)) continue;
            run(with, static_cast<int64_t>(drawn & kChunk));
            if (unfinished.fetch_sub(1) == 1 && caller_sleeps.load()) {
                std::lock_guard<std::mutex> lock(mutex);
                done.notify_one();
            }
            drawn = ticket.load(std::memory_order_acquire);
        }
        inside = false;
    }

    void serve() {
        while (!stop.load()) {
            if (!spin([&] { return has_work() || stop.load(std::memory_order_relaxed); })) {
                std::unique_lock<std::mutex> lock(mutex);
                sleeping.fetch_add(1);
                wait_until([&] { return has_work() || stop.load(); }, wake, lock);
                sleeping.fetch_sub(1);
            }
            work();
        }
    }

    void publish(int64_t chunks, Body run, void* with) {
        const uint64_t job = (ticket.load() >> 32) + 1;
        ticket.store(job << 32 | kClosed);
        body.store(run, std::memory_order_release);
        context.store(with, std::memory_order_release);
        unfinished.store(chunks);
        num_chunks.store(static_cast<uint64_t>(chunks), std::memory_order_release);
        ticket.store(job << 32);
        if (const int asleep = sleeping.load()) {
            std::lock_guard<std::mutex> lock(mutex);
            for (int64_t i = 0; i < std::min<int64_t>(asleep, chunks - 1); ++i) wake.notify_one();
        }
    }

    void wait() {
        const auto finished = [&] { return unfinished.load() == 0; };
        if (spin(finished)) return;
        std::unique_lock<std::mutex> lock(mutex);
        caller_sleeps.store(true);
        wait_until(finished, done, lock);
        caller_sleeps.store(false);
    }
};

Pool::Pool(int num_threads) : state_(new State) {
    state_->num_threads = 
        num_threads > 0 ? num_threads : std::clamp(usable_cores(), 1, kMostByDefault);
}

Pool::~Pool() {
    {
        std::lock_guard<std::mutex> lock(state_->mutex);
        state_->stop.store(true);
        state_->wake.notify_all();
    }
    for (std::thread& worker : state_->workers) worker.join();
}

int Pool::num_threads() const { return state_->num_threads; }

void Pool::run(int64_t num_chunks, void (*body)(void*, int64_t), void* context) {
    State& state = *state_;
    if (inside || state.busy.test_and_set(std::memory_order_acquire)) {
        for (int64_t chunk = 0; chunk < num_chunks; ++chunk) body(context, chunk);
        return;
    }
    while (static_cast<int>(state.workers.size()) < state.num_threads - 1)
        state.workers.emplace_back([&state] { state.serve(); });
    state.publish(num_chunks, body, context);
    state.work();
    state.wait();
    state.busy.clear(std::memory_order_release);
}

}  // namespace causerie
