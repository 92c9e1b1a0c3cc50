// Attention of one head over a sliding window, stored in rings over positions. Knows nothing about
// layers, rotary angles, or the source of keys and values.
#pragma once

#include <algorithm>
#include <limits>

#include "memory.hpp"
#include "simd.hpp"

namespace causerie::mimi {

constexpr int64_t kBlock = 4 * kLanes;  // keys, or features of a value, per block

// The keys and values of one head, padded so that whole blocks can be read.
struct Window {
    int64_t head_dim, context;
    float* memory;

    int64_t ring() const { return round_up(context, kBlock); }
    int64_t padded() const { return round_up(head_dim, kBlock); }
    int64_t size() const { return head_dim * ring() + context * padded(); }

    // One feature at all places of the ring; all features at one place.
    float* keys(int64_t feature) const { return memory + feature * ring(); }
    float* values(int64_t place) const { return memory + head_dim * ring() + place * padded(); }
};

// scores (whole blocks) = q · keys.
inline void score(const Window& window, const float* q, int64_t num_blocks, float* scores) {
    for (int64_t block = 0; block < num_blocks; ++block) {
        Floats total[4] = {};
        for (int64_t j = 0; j < window.head_dim; ++j) {
            const float* keys = window.keys(j) + block * kBlock;
            const Floats feature = floats(q[j]);
            for (int i = 0; i < 4; ++i) total[i] = fma(feature, load(keys + i * kLanes), total[i]);
        }
        for (int i = 0; i < 4; ++i) store(scores + block * kBlock + i * kLanes, total[i]);
    }
}

// Softmax of the first `seen` scores, without the division by their sum, which is returned.
inline float soften(float* scores, int64_t seen, int64_t num_blocks) {
    const int64_t end = num_blocks * kBlock;
    std::fill(scores + seen, scores + end, -std::numeric_limits<float>::infinity());
    Floats top = load(scores);
    for (int64_t i = kLanes; i < end; i += kLanes) top = at_least(top, load(scores + i));
    const Floats highest = floats(largest(top));
    Floats total = floats(0.0f);
    for (int64_t i = 0; i < end; i += kLanes) {
        const Floats weight = exp(load(scores + i) - highest);  // 1e-38 where masked
        store(scores + i, weight);
        total = total + weight;
    }
    return sum(total);
}

// out = Σ weights · values / total.
inline void mix(const Window& window, const float* weights, int64_t seen, float total, float* out) {
    for (int64_t begin = 0; begin < window.head_dim; begin += kBlock) {
        Floats mixed[4] = {};
        for (int64_t place = 0; place < seen; ++place) {
            const float* values = window.values(place) + begin;
            const Floats weight = floats(weights[place]);
            for (int i = 0; i < 4; ++i) mixed[i] = fma(weight, load(values + i * kLanes), mixed[i]);
        }
        for (int i = 0; i < 4; ++i) {
            const int64_t at = begin + i * kLanes;
            if (at >= window.head_dim) break;
            store_some(out + at, mixed[i] / floats(total), window.head_dim - at);
        }
    }
}

}  // namespace causerie::mimi
