// The functions for Python of the library, its threads and its products. `csm.cpp` and `mimi.cpp`
// have their own.
#include "api.hpp"

#include <cstring>

#include "gemm.hpp"

using namespace causerie;

// The hash of the sources of this build: see build.py.
CAUSERIE_API const char* causerie_source_hash() { return CAUSERIE_SOURCE_HASH; }

// Whether this machine runs the named kernels. Called in the generic library.
CAUSERIE_API int causerie_runs(const char* kernels) {
    if (!std::strcmp(kernels, "generic")) return 1;
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (!std::strcmp(kernels, "avx2")) return avx2;
    if (!std::strcmp(kernels, "avx512"))
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
#endif
    return 0;
}

CAUSERIE_API Pool* causerie_pool_new(int num_threads) { return new Pool(num_threads); }
CAUSERIE_API void causerie_pool_delete(Pool* pool) { delete pool; }
CAUSERIE_API int causerie_pool_threads(const Pool* pool) { return pool->num_threads(); }

CAUSERIE_API Packed* causerie_packed_new(int64_t n, int64_t k, int format, int plain) {
    return new_packed(n, k, static_cast<Format>(format), plain != 0);
}
CAUSERIE_API void causerie_pack_rows(Pool* pool, Packed* packed, int64_t first, const float* w,
                                     int64_t n, int64_t ldw) {
    pack_rows(*pool, *packed, first, w, n, ldw);
}
CAUSERIE_API void causerie_packed_delete(Packed* packed) { destroy(packed); }
CAUSERIE_API int64_t causerie_packed_bytes(const Packed* packed) {
    size_t total = packed->data.size() + packed->factors.size() * sizeof(float);
    for (const auto& panel : packed->plain) total += panel.size() * sizeof(uint16_t);
    return static_cast<int64_t>(total);
}

CAUSERIE_API void causerie_gemm(Pool* pool, const Packed* w, const float* x, int64_t m, int64_t ldx,
                                float* y, int64_t ldy, const float* bias, int accumulate) {
    gemm(*pool, *w, x, m, ldx, y, ldy, bias, accumulate != 0);
}
