// Causal grouped-query attention over a slot's keys and values. A row's result depends, to the bit,
// only on the rows before it, not on the number of rows computed together.
#pragma once

#include "cache.hpp"

namespace causerie {

// Consecutive rows of one slot in a batch.
struct Span {
    Cache* cache;
    int64_t row;       // index of the first row in the batch
    int64_t count;
    int64_t position;  // position of the first row in the slot
};

// Cosines and sines (positions, E/2), fp32.
struct Rotation {
    const float* cos;
    const float* sin;
};

// For one layer and key head: stores the keys and values of all rows of a span, then computes the
// attention of the last `num_queries` rows.
//
// qkv: rows of the batch, ld apart: queries at 0, keys at `keys_at`, values at `values_at`.
// out: rows of results (H · E), ldo apart, the first one for the first of these queries.
void attend(const LlamaSizes& sizes, const Rotation& rotation, int64_t layer, int64_t head,
            const Span& span, const float* qkv, int64_t ld, int64_t keys_at, int64_t values_at,
            int64_t num_queries, float* out, int64_t ldo);

}  // namespace causerie
