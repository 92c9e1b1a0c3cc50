// The parts that the decoders of the codec share: weights from arrays in a fixed order, maps of rows,
// and codebooks. Knows nothing about slots.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <vector>

#include "activations.hpp"
#include "gemm.hpp"

namespace causerie {

constexpr int64_t kChunk = 4096;  // numbers of an array per chunk of work

// Calls body(worker, item) for every item. Calls with the same worker do not overlap, and there are at
// most as many workers as threads, so each can have memory of its own.
template <class Body>
void parallel_workers(Pool& pool, int64_t num_items, Body&& body) {
    std::atomic<int64_t> next{0};
    parallel(pool, std::min<int64_t>(num_items, pool.num_threads()), [&](int64_t worker) {
        for (int64_t item; (item = next++) < num_items;) body(worker, item);
    });
}

// Arrays that are consumed in order.
struct Arrays {
    const float* const* data;
    const int64_t* sizes;
    int64_t count;

    const float* next(int64_t size) {
        if (count == 0 || *sizes != size) throw std::invalid_argument("an array does not fit");
        --count, ++sizes;
        return *data++;
    }
    void end() const {
        if (count) throw std::invalid_argument("more arrays than the sizes ask for");
    }
};

inline std::vector<float> copy(Arrays& arrays, int64_t size) {
    const float* from = arrays.next(size);
    return std::vector<float>(from, from + size);
}

// A linear map; bias may be empty.
struct Linear {
    Linear(Arrays& arrays, int64_t in, int64_t out, Format format, bool with_bias = false)
        : weight(pack(arrays.next(out * in), out, in, in, format)) {
        if (with_bias) bias = copy(arrays, out);
    }

    std::unique_ptr<Packed> weight;
    std::vector<float> bias;

    void operator()(Pool& pool, const float* x, int64_t m, int64_t ldx, float* y,
                    bool accumulate = false) const {
        gemm(pool, *weight, x, m, ldx, y, weight->n, bias.empty() ? nullptr : bias.data(),
             accumulate);
    }
};

// Give f as a lambda: a name is a pointer, which the compiler does not inline.
template <class F>
void map_all(Pool& pool, float* x, int64_t n, F&& f) {
    parallel(pool, (n + kChunk - 1) / kChunk, [&](int64_t chunk) {
        const int64_t begin = chunk * kChunk;
        map(x + begin, x + begin, std::min(kChunk, n - begin), f);
    });
}

// Σ f(x) over n numbers; f(fill) must be 0.
template <class F>
float sum_of(const float* x, int64_t n, float fill, F&& f) {
    Floats total = floats(0.0f);
    for (int64_t i = 0; i < n; i += kLanes) total = total + f(load_some(x + i, n - i, fill));
    return sum(total);
}

struct Norm {
    Norm(Arrays& arrays, int64_t dim) : gain(copy(arrays, dim)), bias(copy(arrays, dim)) {}
    std::vector<float> gain, bias;

    // y = LayerNorm(x), a row; y may be x.
    void operator()(const float* x, float eps, float* y) const {
        const int64_t n = static_cast<int64_t>(gain.size());
        const float mean = sum_of(x, n, 0.0f, [](const Floats& v) { return v; }) / n;
        const float square = sum_of(x, n, mean, [&](const Floats& v) {
            const Floats distance = v - floats(mean);
            return distance * distance;
        });
        const float scale = 1.0f / std::sqrt(square / n + eps);
        for (int64_t i = 0; i < n; i += kLanes) {
            const Floats standard = (load_some(x + i, n - i, 0.0f) - floats(mean)) * floats(scale);
            const Floats times = load_some(gain.data() + i, n - i, 0.0f);
            const Floats plus = load_some(bias.data() + i, n - i, 0.0f);
            store_some(y + i, fma(standard, times, plus), n - i);
        }
    }
};

// The codebooks, semantic and acoustic, and their maps to the latent. Centroids are owned by the caller.
class Codebooks {
   public:
    Codebooks(Arrays& arrays, int64_t count, int64_t size, int64_t code_dim, int64_t latent_dim)
        : code_dim_(code_dim),
          book_(size * code_dim),
          semantic_(arrays.next(book_)),
          acoustic_(arrays.next((count - 1) * book_)),
          semantic_proj_(arrays, code_dim, latent_dim, Format::f32),
          acoustic_proj_(arrays, code_dim, latent_dim, Format::f32) {}

    // latent (B, D) of codes (B, K).
    void operator()(Pool& pool, const int32_t* codes, int64_t batch, int64_t num_codebooks,
                    float* latent) {
        float* semantic = summed_.reserve(2 * batch * code_dim_);
        float* acoustic = semantic + batch * code_dim_;
        std::fill_n(acoustic, batch * code_dim_, 0.0f);
        for (int64_t b = 0; b < batch; ++b, codes += num_codebooks) {
            std::copy_n(semantic_ + codes[0] * code_dim_, code_dim_, semantic + b * code_dim_);
            for (int64_t k = 1; k < num_codebooks; ++k) {
                const float* centroid = acoustic_ + (k - 1) * book_ + codes[k] * code_dim_;
                for (int64_t i = 0; i < code_dim_; ++i) acoustic[b * code_dim_ + i] += centroid[i];
            }
        }
        semantic_proj_(pool, semantic, batch, code_dim_, latent);
        if (num_codebooks > 1) acoustic_proj_(pool, acoustic, batch, code_dim_, latent, true);
    }

   private:
    const int64_t code_dim_, book_;
    const float *semantic_, *acoustic_;  // (codebooks, V, C)
    Linear semantic_proj_, acoustic_proj_;
    Buffer<float> summed_;
};

}  // namespace causerie
