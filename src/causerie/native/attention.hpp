// Causal grouped-query attention over a slot's keys and values. A row's result depends on the rows
// before it alone, to the bit, however many rows are computed at once.
#pragma once

#include "cache.hpp"

namespace causerie {

// Rows of a batch that follow each other in one slot.
struct Span {
    Cache* cache;
    int64_t row;       // the first of them in the batch
    int64_t count;
    int64_t position;  // of the first, in the slot
};

// Cosines and sines (positions, E/2), fp32.
struct Rotation {
    const float* cos;
    const float* sin;
};

// Of one layer and key head: store the keys and values of all rows of a span, then attend from the
// last `num_queries` of them.
//
// qkv: rows of the batch, ld apart: queries at 0, keys at `keys_at`, values at `values_at`.
// out: rows of results (H · E), ldo apart, the first of them for the first query asked for.
void attend(const LlamaSizes& sizes, const Rotation& rotation, int64_t layer, int64_t head,
            const Span& span, const float* qkv, int64_t ld, int64_t keys_at, int64_t values_at,
            int64_t num_queries, float* out, int64_t ldo);

}  // namespace causerie
