// The watermark's filters, which change every half chip. Knows nothing about keys or patterns.
//
// The maths is that of PlainFilters in causerie/watermark/mark.py, to the bit, with all kernels: each
// output is a sum in one order, of products that are rounded before they are added.
#include <algorithm>

#include "api.hpp"
#include "simd.hpp"

namespace causerie {
namespace {

// Registers of sums at once: enough to hide the latency of an addition, and not more than there are.
// Fades, halves and chunks are whole numbers of such blocks.
constexpr int kSums = kParts == 1 ? 5 : kParts == 2 ? 3 : 2;
constexpr int64_t kBlock = kSums * kLanes, kChunk = 960, kMostTaps = 1024;
static_assert(kChunk % kBlock == 0);

// Adds the products with every sixteenth tap to a block of sums. As many taps ahead, the same sixteen
// samples are needed again, so they are loaded from aligned addresses.
CAUSERIE_INLINE void add_products(const float* taps, int64_t num_taps, const float* samples,
                                  float* sums) {
    Floats total[kSums];
    CAUSERIE_UNROLL for (int i = 0; i < kSums; ++i) total[i] = load(sums + i * kLanes);
    for (int64_t k = 0; k < num_taps; k += kLanes) {
        const Floats tap = floats(taps[k]);
        CAUSERIE_UNROLL for (int i = 0; i < kSums; ++i)
            total[i] = total[i] + tap * load(samples + i * kLanes - k);
    }
    CAUSERIE_UNROLL for (int i = 0; i < kSums; ++i) store(sums + i * kLanes, total[i]);
}

// y (n) from x, which num_taps - 1 samples precede; num_taps is a multiple of sixteen.
void filter(const float* taps, int64_t num_taps, const float* x, int64_t n, float* y) {
    alignas(64) float shifted[kMostTaps + kChunk] = {}, sums[kChunk];
    for (int64_t done = 0; done < n; done += kChunk) {
        const int64_t size = std::min(kChunk, n - done), before = num_taps - kLanes;
        std::fill_n(sums, kChunk, 0.0f);
        for (int64_t shift = 0; shift < kLanes; ++shift) {
            std::copy_n(x + done - before - shift, before + size, shifted);
            for (int64_t i = 0; i < size; i += kBlock)
                add_products(taps + shift, num_taps, shifted + before + i, sums + i);
        }
        std::copy_n(sums, size, y + done);
    }
}

}  // namespace
}  // namespace causerie

using namespace causerie;

// Filters n samples of a stream, of which num_taps - 1 earlier ones come first in `samples`.
// `table` has a filter for each half chip, and one more that changes nothing.
CAUSERIE_API void causerie_watermark(const float* table, int64_t num_halves, int64_t num_taps,
                                     const float* fade, int64_t num_fade, int64_t half,
                                     int64_t first, int64_t position, const float* samples,
                                     int64_t n, float* y) {
    constexpr int64_t kMostFade = 1024;
    float former[kMostFade];
    const auto row = [&](int64_t number) {
        return table + num_taps * (number < 0 ? num_halves : (first + number) % num_halves);
    };
    const float* x = samples + num_taps - 1;
    for (int64_t done = 0; done < n;) {
        const int64_t number = (position + done) / half, place = (position + done) % half;
        const int64_t size = std::min(n - done, half - place);
        filter(row(number), num_taps, x + done, size, y + done);
        const int64_t fading = std::min(size, std::min(num_fade, kMostFade) - place);
        if (fading > 0) {
            filter(row(number - 1), num_taps, x + done, fading, former);
            for (int64_t i = 0; i < fading; ++i)
                y[done + i] = former[i] + fade[place + i] * (y[done + i] - former[i]);
        }
        done += size;
    }
}
