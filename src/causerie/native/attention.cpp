#include "attention.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace causerie {
namespace {

constexpr int64_t kQueryRows = 16;  // per block, whose scores stay in L2

struct Scratch {
    Buffer<float> turned;     // a rotated key, or queries (rows, E)
    Buffer<uint16_t> queries;  // the same in bf16
    Buffer<float> scores;     // (rows, positions), then their exponentials
    Buffer<uint16_t> weights;  // the same in bf16
};

thread_local Scratch scratch;

// Rotates features j and j + E/2 as causerie.nn.rope does, to the bit.
void rotate(const float* x, const Rotation& by, int64_t position, int64_t head_dim, float* out) {
    const int64_t half = head_dim / 2;
    const float* cos = by.cos + position * half;
    const float* sin = by.sin + position * half;
    for (int64_t j = 0; j < half; ++j) {
        out[j] = x[j] * cos[j] - x[half + j] * sin[j];
        out[half + j] = x[half + j] * cos[j] + x[j] * sin[j];
    }
}

// fp32 rows as words for products with a cache.
Inputs words_of(const float* x, int64_t rows, int64_t ld, Format format, Buffer<uint16_t>& rounded) {
    if (format == Format::f32)
        return {reinterpret_cast<const uint32_t*>(x), ld, nullptr, nullptr, 0};
    uint16_t* out = rounded.reserve(rows * ld + kLanes);
    for (int64_t i = 0; i < rows * ld; i += kLanes) store_bf16(out + i, load(x + i));
    return {reinterpret_cast<const uint32_t*>(out), ld / 2, nullptr, nullptr, 0};
}

// Products of `count` rows with panels 0 … num_panels - 1, over words 0 … num_words - 1 of k. Calls
// give(row, panel, sixteen results).
template <class Give>
void product(Format format, const Panels& w, const Inputs& x, int64_t count, int64_t num_panels,
             int64_t num_words, Give&& give) {
    Floats sums[kTileRows * kTilePanels];
    const int rows = static_cast<int>(count);
    for (int64_t panel = 0; panel < num_panels;) {
        const bool wide = panel + kTilePanels <= num_panels;
        const int width = wide ? kTilePanels : 1;
        const Panels at{w.data + panel * w.panel_bytes, w.panel_bytes};
        for (int i = 0; i < rows * width; ++i) sums[i] = Floats{};
        const Multiply run =
            wide ? multiply_of<kTilePanels>(format, rows) : multiply_of<1>(format, rows);
        run(at, x, 0, num_words, sums);
        for (int r = 0; r < rows; ++r)
            for (int p = 0; p < width; ++p) give(r, panel + p, sums[r * width + p]);
        panel += width;
    }
}

// Replaces scores by the exponentials of their distance from the largest; returns their sum. The rest
// of the row, from `count` on, becomes 0.
float exponentials(float* scores, int64_t count, int64_t end, float scale) {
    const int64_t padded = round_up(count, kLanes);
    for (int64_t i = count; i < padded; ++i) scores[i] = -std::numeric_limits<float>::infinity();
    Floats top = load(scores);
    for (int64_t i = kLanes; i < padded; i += kLanes) top = at_least(top, load(scores + i));
    const Floats most = floats(largest(top)), factor = floats(scale);
    for (int64_t i = 0; i < padded; i += kLanes)
        store(scores + i, exp((load(scores + i) - most) * factor));
    for (int64_t i = count; i < end; ++i) scores[i] = 0.0f;
    Floats total = load(scores);
    for (int64_t i = kLanes; i < padded; i += kLanes) total = total + load(scores + i);
    return sum(total);
}

struct Head {
    const LlamaSizes& sizes;
    Format format;
    Panels keys, values;
    int64_t index;
    int64_t queries() const { return sizes.num_heads / sizes.num_kv_heads; }
};

// A tile of rotated queries: row r is query r % queries of the position first + r / queries. Results
// go to out + (r / queries) · ldo + (r % queries) · E.
void attend_tile(const Head& head, const float* turned, int64_t row, int64_t count, int64_t first,
                 float* out, int64_t ldo) {
    const int64_t per_position = head.queries(), dim = head.sizes.head_dim;
    const int64_t last = first + (row + count - 1) / per_position;
    const int64_t ld = round_up(last + 1, kLanes);
    const int64_t per_word = head.format == Format::bf16 ? 2 : 1;
    float* scores = scratch.scores.reserve(count * ld + kLanes);
    const Inputs queries = words_of(turned + row * dim, count, dim, head.format, scratch.queries);
    product(head.format, head.keys, queries, count, ld / kPanel, dim / per_word,
            [&](int64_t r, int64_t panel, const Floats& result) {
                store(scores + r * ld + panel * kPanel, result);
            });
    float inverse[kTileRows];
    for (int64_t r = 0; r < count; ++r) {
        const int64_t seen = first + (row + r) / per_position + 1;
        const float scale = 1.0f / std::sqrt(static_cast<float>(dim));
        inverse[r] = 1.0f / exponentials(scores + r * ld, seen, ld, scale);
    }
    const Inputs weights = words_of(scores, count, ld, head.format, scratch.weights);
    product(head.format, head.values, weights, count, (dim + kPanel - 1) / kPanel,
            (last + per_word) / per_word, [&](int64_t r, int64_t panel, const Floats& result) {
                float values[kLanes];
                store(values, result * floats(inverse[r]));
                float* to = out + (row + r) / per_position * ldo +
                            (head.index * per_position + (row + r) % per_position) * dim;
                std::memcpy(to + panel * kPanel, values,
                            std::min(kPanel, dim - panel * kPanel) * sizeof(float));
            });
}

}  // namespace

void attend(const LlamaSizes& sizes, const Rotation& rotation, int64_t layer, int64_t head,
            const Span& span, const float* qkv, int64_t ld, int64_t keys_at, int64_t values_at,
            int64_t num_queries, float* out, int64_t ldo) {
    const int64_t dim = sizes.head_dim;
    const Head of{sizes, span.cache->format(), span.cache->keys(layer, head),
                  span.cache->values(layer, head), head};
    const int64_t per_position = of.queries();
    float* turned = scratch.turned.reserve(kQueryRows * per_position * dim + kLanes);
    for (int64_t i = 0; i < span.count; ++i) {
        const float* row = qkv + (span.row + i) * ld;
        rotate(row + keys_at + head * dim, rotation, span.position + i, dim, turned);
        span.cache->put(layer, head, span.position + i, turned, row + values_at + head * dim);
    }
    for (int64_t done = 0; done < num_queries; done += kQueryRows) {
        const int64_t count = std::min(kQueryRows, num_queries - done);
        const int64_t first = span.count - num_queries + done;  // within the span
        for (int64_t i = 0; i < count; ++i)
            for (int64_t q = 0; q < per_position; ++q)
                rotate(qkv + (span.row + first + i) * ld + (head * per_position + q) * dim, rotation,
                       span.position + first + i, dim, turned + (i * per_position + q) * dim);
        const int64_t rows = count * per_position, tile = tile_rows(rows);
        for (int64_t r = 0; r < rows; r += tile)
            attend_tile(of, turned, r, std::min(tile, rows - r), span.position + first,
                        out + done * ldo, ldo);
    }
}

}  // namespace causerie
