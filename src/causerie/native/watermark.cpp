// The watermark's filters, which change every half chip. Knows nothing about keys or patterns.
//
// The maths is that of PlainFilters in causerie/watermark/mark.py, to the bit, with all kernels: the
// products are of whole numbers, so their sums are exact in any order.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "api.hpp"
#include "simd.hpp"

namespace causerie {
namespace {

// Registers of sums at once: nearly as many as there are. Fades and halves are whole numbers of such
// blocks; what is added to the end of a last one is not used.
constexpr int kSums = kParts == 1 ? 15 : kParts == 2 ? 5 : 3;
constexpr int64_t kBlock = kSums * kLanes, kChunk = 960, kMostTaps = 512;
constexpr int64_t kRoom = kMostTaps + kChunk + kBlock;
static_assert(kChunk % kBlock == 0);

// One filter, and what it adds to the first samples of a chunk.
struct Filter {
    const int32_t* taps;  // two 16-bit integers each, the last one first
    int64_t size;
    alignas(64) int32_t sums[kChunk];
};

// Adds the products with every eighth pair of taps to a block of sums. The samples are needed again
// sixteen taps later, so they are always loaded from aligned addresses.
CAUSERIE_INLINE void add_products(const int32_t* taps, int64_t num_taps, const int32_t* pairs,
                                  int32_t* sums) {
    Ints total[kSums];
    CAUSERIE_UNROLL for (int i = 0; i < kSums; ++i) total[i] = load(sums + i * kLanes);
    for (int64_t k = 0; k < num_taps; k += kLanes) {
        const Ints tap = ints(taps[k / 2]);
        CAUSERIE_UNROLL for (int i = 0; i < kSums; ++i)
            total[i] = dot2(load(pairs + i * kLanes + k), tap, total[i]);
    }
    CAUSERIE_UNROLL for (int i = 0; i < kSums; ++i) store(sums + i * kLanes, total[i]);
}

// The samples as integers of 16 bits, each with the one after it: for products of two at a time.
// Writes up to the next multiple of sixteen, where samples that do not exist are 0.
void make_pairs(const float* samples, int64_t n, int32_t* pairs) {
    const auto steps = [](const Floats& samples) {
        Ints out;
        const Floats x = samples * floats(32768.0f);
        nearest(at_most(floats(32767.0f), at_least(floats(-32767.0f), x)), &out);
        return out;
    };
    alignas(64) int32_t kept[kRoom + kLanes];
    float last[kLanes] = {};
    const int64_t whole = n / kLanes * kLanes;
    std::copy_n(samples + whole, n - whole, last);
    for (int64_t i = 0; i < whole; i += kLanes) store(kept + i, steps(load(samples + i)));
    store(kept + whole, steps(load(last)));
    kept[whole + kLanes] = 0;
    for (int64_t i = 0; i <= whole; i += kLanes)
        store(pairs + i, (load(kept + i) & ints(0xffff)) ^ shift_left(load(kept + i + 1), 16));
}

// Applies filters to the same samples (num_taps - 1 earlier ones come first); num_taps is a multiple
// of sixteen.
void apply(Filter* filters, int num_filters, int64_t num_taps, const float* samples, int64_t n) {
    alignas(64) int32_t pairs[kRoom], shifted[kRoom];
    make_pairs(samples, num_taps - 1 + n, pairs);
    for (int i = 0; i < num_filters; ++i) std::fill_n(filters[i].sums, kChunk, 0);
    for (int64_t shift = 0; shift < kLanes; shift += 2) {
        for (int64_t i = 0; i < num_taps + n; i += kLanes)
            store(shifted + i, load(pairs + i + shift));
        for (int i = 0; i < num_filters; ++i)
            for (int64_t j = 0; j < filters[i].size; j += kBlock)
                add_products(filters[i].taps + shift / 2, num_taps, shifted + j,
                             filters[i].sums + j);
    }
}

// A peak, bent so that it stays below full scale.
float bent(float x, float knee) {
    const float size = std::fabs(x), room = 1.0f - knee;
    if (!(size > knee)) return x;
    const float over = (size - knee) / room;
    return std::copysign(std::min(knee + room * (over / (1.0f + over)), 1.0f), x);
}

void limit(float* y, int64_t n, float knee) {
    int32_t most, is_loud = 0;  // as integers, of which the compiler compares many at once
    std::memcpy(&most, &knee, sizeof most);
    for (int64_t i = 0; i < n; ++i) {
        int32_t size;
        std::memcpy(&size, y + i, sizeof size);
        is_loud |= (size & 0x7fffffff) > most;
    }
    if (!is_loud) return;
    for (int64_t i = 0; i < n; ++i) y[i] = bent(y[i], knee);
}

}  // namespace
}  // namespace causerie

using namespace causerie;

// Marks n samples of a stream, of which num_taps - 1 earlier ones come first in `samples`. `table`
// has what the filter of each half chip adds, in such units, and after them one that adds nothing.
CAUSERIE_API void causerie_watermark(const int32_t* table, int64_t num_halves, int64_t num_taps,
                                     float unit, const float* fade, int64_t num_fade, int64_t half,
                                     float knee, int64_t first, int64_t position,
                                     const float* samples, int64_t n, float* y) {
    Filter filters[2];
    const int32_t* sums = filters[0].sums;
    const int32_t* former = filters[1].sums;
    const auto taps = [&](int64_t number) {
        return table + num_taps / 2 * (number < 0 ? num_halves : (first + number) % num_halves);
    };
    for (int64_t done = 0; done < n;) {
        const int64_t number = (position + done) / half, place = (position + done) % half;
        const int64_t size = std::min({n - done, half - place, kChunk});
        const int64_t fading = std::max<int64_t>(0, std::min(size, num_fade - place));
        filters[0].taps = taps(number), filters[0].size = size;
        filters[1].taps = taps(number - 1), filters[1].size = fading;
        apply(filters, fading ? 2 : 1, num_taps, samples + done, size);
        const float *x = samples + num_taps - 1 + done, *share = fade + place;
        for (int64_t i = 0; i < fading; ++i) {
            const float now = static_cast<float>(sums[i]) * unit;
            const float before = static_cast<float>(former[i]) * unit;
            y[done + i] = x[i] + (before + share[i] * (now - before));
        }
        for (int64_t i = fading; i < size; ++i)
            y[done + i] = x[i] + static_cast<float>(sums[i]) * unit;
        done += size;
    }
    limit(y, n, knee);
}
