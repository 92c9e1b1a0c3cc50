// Threads that share the work of one caller. Knows nothing of what the work is.
//
// Work is cut into chunks that the caller and the workers take one by one, so whoever has a core
// does what there is: a worker that lost its core holds up nothing but the chunk it has begun.
#pragma once

#include <cstdint>
#include <memory>

namespace causerie {

class Pool {
   public:
    // Of `num_threads` threads, the caller's included; 0: of as many as this process may use,
    // up to 16.
    // The others are started by the first work that is worth it.
    explicit Pool(int num_threads);
    ~Pool();
    Pool(const Pool&) = delete;
    Pool& operator=(const Pool&) = delete;

    int num_threads() const;

    // Call body(context, chunk) for every chunk of 0 … num_chunks - 1, and return when all are done.
    // If another thread is being served, or from within a body, the caller does all of it alone.
    void run(int64_t num_chunks, void (*body)(void*, int64_t), void* context);

   private:
    struct State;
    std::unique_ptr<State> state_;
};

// Call body(chunk) for every chunk of 0 … num_chunks - 1, on any thread and in any order.
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
