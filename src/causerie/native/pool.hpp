// Threads that share the work of one caller. Knows nothing about the work.
//
// The caller and the workers take chunks of work one by one, so threads that have a core do the work:
// a worker that lost its core delays only the chunk it has begun.
#pragma once

#include <cstdint>
#include <memory>

namespace causerie {

class Pool {
   public:
    // `num_threads` threads, including the caller's; 0: as many as this process may use, up to 16.
    // The others start with the first work that needs them.
    explicit Pool(int num_threads);
    ~Pool();
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    int num_threads() const;

    // Calls body(context, chunk) for every chunk 0 … num_chunks - 1; returns when all are done. While the
    // pool serves another thread, or within a body, the caller does all chunks alone.
    void run(int64_t num_chunks, void (*body)(void*, int64_t), void* context);

   private:
    struct State;
    std::unique_ptr<State> state_;
};

// Calls body(chunk) for every chunk 0 … num_chunks - 1, on any thread and in any order.
template <class Body>
void parallel(Pool& pool, int64_t num_chunks, Body&& body) {
    if (num_chunks <= 1 || pool.num_threads() == 1) {
        for (int64_t chunk = 0; chunk < num_chunks; ++chunk) body(chunk);
        return;
    }
    pool.run(
        num_chunks, [](void* context, int64_t chunk) { (*static_cast<Body*>(context))(chunk); },
        const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace causerie
