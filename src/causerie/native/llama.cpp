#include "llama.hpp"

#include <algorithm>
#include <cmath>

namespace causerie {
namespace {

// Numbers per chunk of work.
constexpr int64_t kPiece = 1 << 14;

// Calls body(row) for every row of the given width.
template <class Body>
void each_row(Pool& pool, int64_t num_rows, int64_t width, Body&& body) {
    const int64_t rows = std::max<int64_t>(1, kPiece / width);
    parallel(pool, (num_rows + rows - 1) / rows, [&](int64_t chunk) {
        const int64_t end = std::min(num_rows, (chunk + 1) * rows);
        for (int64_t row = chunk * rows; row < end; ++row) body(row);
    });
}

// Root-mean-square norm of one row, with its scale.
void norm_row(const float* x, const float* weight, int64_t dim, float eps, float* out) {
    Floats squares = floats(0.0f);
    for (int64_t i = 0; i < dim; i += kLanes) squares = fma(load(x + i), load(x + i), squares);
    const Floats scale = floats(1.0f / std::sqrt(sum(squares) / static_cast<float>(dim) + eps));
    for (int64_t i = 0; i < dim; i += kLanes)
        store(out + i, load(x + i) * scale * load(weight + i));
}

// silu(gate) · up of numbers begin … end - 1 of a row.
void swiglu(const float* gate, const float* up, int64_t begin, int64_t end, float* out) {
    const Floats one = floats(1.0f);
    for (int64_t i = begin; i < end; i += kLanes) {
        const Floats x = load(gate + i);
        store(out + i, x / (one + exp(floats(0.0f) - x)) * load(up + i));
    }
}

}  // namespace

void Llama::set_norm(const float* weight) {
    std::memcpy(norm_.reserve(width()), weight, sizes_.dim * sizeof(float));
}

void Llama::attention(Pool& pool, const Layer& layer, int64_t index, float* x, int64_t num_rows,
                      const std::vector<Span>& spans, bool last_only, bool keys_only) {
    const int64_t queries = sizes_.num_heads * sizes_.head_dim, width = this->width();
    const int64_t keys_at = round_up(queries, kLanes);
    const int64_t values_at = keys_at + round_up(sizes_.num_kv_heads * sizes_.head_dim, kLanes);
    const int64_t ld = values_at + (values_at - keys_at), ldo = keys_at;
    float* normed = normed_.reserve(num_rows * width);
    each_row(pool, num_rows, width, [&](int64_t row) {
        norm_row(x + row * width, layer.attention_norm.data(), sizes_.dim, sizes_.norm_eps,
                 normed + row * width);
    });
    float* qkv = qkv_.reserve(num_rows * ld);
    gemm(pool, *layer.qkv, normed, num_rows, width, qkv, ld);

    const int64_t num_spans = static_cast<int64_t>(spans.size());
    float* attended = attended_.reserve(num_rows * ldo);
    parallel(pool, num_spans * sizes_.num_kv_heads, [&](int64_t chunk) {
        const int64_t s = chunk / sizes_.num_kv_heads;
        const Span& span = spans[s];
        const int64_t num_queries = keys_only ? 0 : last_only ? 1 : span.count;
        attend(sizes_, rotation_, index, chunk % sizes_.num_kv_heads, span, qkv, ld, keys_at,
               values_at, num_queries, attended + (last_only ? s : span.row) * ldo, ldo);
    });
    if (keys_only) return;
    if (last_only)
        for (int64_t s = 0; s < num_spans; ++s)  // in ascending order: nothing is overwritten
            std::memmove(x + s * width, x + (spans[s].row + spans[s].count - 1) * width,
                         width * sizeof(float));
    gemm(pool, *layer.o, attended, last_only ? num_spans : num_rows, ldo, x, width, nullptr, true);
}

void Llama::feed_forward(Pool& pool, const Layer& layer, float* x, int64_t num_rows) {
    const int64_t width = this->width(), ffn = round_up(sizes_.ffn_dim, kLanes);
    float* normed = normed_.reserve(num_rows * width);
    each_row(pool, num_rows, width, [&](int64_t row) {
        norm_row(x + row * width, layer.ffn_norm.data(), sizes_.dim, sizes_.norm_eps,
                 normed + row * width);
    });
    float* gate_up = gate_up_.reserve(num_rows * 2 * ffn);
    gemm(pool, *layer.gate_up, normed, num_rows, width, gate_up, 2 * ffn);
    float* activated = activated_.reserve(num_rows * ffn);
    each_row(pool, num_rows, 2 * ffn, [&](int64_t row) {
        const float* gate = gate_up + row * 2 * ffn;
        swiglu(gate, gate + ffn, 0, ffn, activated + row * ffn);
    });
    gemm(pool, *layer.down, activated, num_rows, ffn, x, width, nullptr, true);
}

void Llama::read(Pool& pool, float* x, const std::vector<Span>& spans, float* hidden) {
    int64_t num_rows = 0;
    for (const Span& span : spans) num_rows += span.count;
    for (int64_t i = 0; i < static_cast<int64_t>(layers_.size()); ++i) {
        const bool last = i + 1 == static_cast<int64_t>(layers_.size());
        attention(pool, layers_[i], i, x, num_rows, spans, last, last && !hidden);
        if (last) num_rows = static_cast<int64_t>(spans.size());
        if (!last || hidden) feed_forward(pool, layers_[i], x, num_rows);
    }
    if (!hidden) return;
    each_row(pool, num_rows, width(), [&](int64_t row) {
        norm_row(x + row * width(), norm_.data(), sizes_.dim, sizes_.norm_eps,
                 hidden + row * width());
    });
}

}  // namespace causerie
