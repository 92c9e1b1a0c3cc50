#include "memory.hpp"

#include <cstdlib>
#include <mutex>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace causerie {
namespace {

constexpr size_t kPage = size_t{2} << 20;
constexpr size_t kSlab = 4 * kPage;
constexpr size_t kHeader = 64;  // before each piece: its slab

// Zeroed memory shared by many pieces; freed with the last of them.
struct Slab {
    size_t size;
    size_t used;
    int64_t pieces;
};

std::mutex heap;
Slab* open_slab = nullptr;  // the slab of new small pieces

Slab* new_slab(size_t size) {
    size = (size + kPage - 1) / kPage * kPage;
#if defined(__linux__)
    void* mapped = mmap(nullptr, size + kPage, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED) throw std::bad_alloc();
    auto start = reinterpret_cast<uintptr_t>(mapped);
    auto aligned = (start + kPage - 1) / kPage * kPage;
    if (aligned > start) munmap(mapped, aligned - start);
    if (start + kPage > aligned)
        munmap(reinterpret_cast<void*>(aligned + size), start + kPage - aligned);
    madvise(reinterpret_cast<void*>(aligned), size, MADV_HUGEPAGE);  // only advice: the system may refuse
    void* memory = reinterpret_cast<void*>(aligned);
#else
    void* memory = std::aligned_alloc(kHeader, size);
    if (!memory) throw std::bad_alloc();
    std::memset(memory, 0, size);
#endif
    return new (memory) Slab{size, kHeader, 0};
}

void free_slab(Slab* slab) {
#if defined(__linux__)
    munmap(slab, slab->size);
#else
    std::free(slab);
#endif
}

}  // namespace

void* allocate(size_t bytes) {
    static_assert(sizeof(Slab) <= kHeader);
    const size_t needed = (bytes + kHeader - 1) / kHeader * kHeader + kHeader;
    std::lock_guard<std::mutex> lock(heap);
    Slab* slab = open_slab;
    if (needed > kPage / 2) {  // a slab of its own
        slab = new_slab(needed + kHeader);
    } else if (!slab || slab->used + needed > slab->size) {
        if (slab && !slab->pieces) free_slab(slab);
        slab = open_slab = new_slab(kSlab);
    }
    char* header = reinterpret_cast<char*>(slab) + slab->used;
    slab->used += needed;
    ++slab->pieces;
    std::memcpy(header, &slab, sizeof slab);
    return header + kHeader;
}

void release(void* memory) {
    if (!memory) return;
    Slab* slab;
    std::memcpy(&slab, static_cast<char*>(memory) - kHeader, sizeof slab);
    std::lock_guard<std::mutex> lock(heap);
    if (--slab->pieces == 0 && slab != open_slab) free_slab(slab);
}

}  // namespace causerie
