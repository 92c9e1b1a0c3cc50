#include "sampling.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

namespace causerie {
namespace {

// SplitMix64 (Steele, Lea & Flood 2014).
constexpr uint64_t kStep = 0x9E3779B97F4A7C15;

uint64_t mix(uint64_t x) {
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
    x = (x ^ x >> 27) * 0x94D049BB133111EB;
    return x ^ x >> 31;
}

// The k-th largest of some values.
float kth_largest(const float* values, int64_t count, int64_t k) {
    std::vector<float> kept(values, values + k);  // a heap: the smallest is at the front
    std::make_heap(kept.begin(), kept.end(), std::greater<float>());
    for (int64_t i = k; i < count; ++i) {
        if (!(values[i] > kept.front())) continue;
        std::pop_heap(kept.begin(), kept.end(), std::greater<float>());
        kept.back() = values[i];
        std::push_heap(kept.begin(), kept.end(), std::greater<float>());
    }
    return kept.front();
}

}  // namespace

Noise::Noise(int64_t seed, int64_t frame)
    : key_(mix(mix(static_cast<uint64_t>(seed) * kStep) + static_cast<uint64_t>(frame) * kStep)) {}

float Noise::of(int64_t codebook, int64_t code) const {
    const uint64_t counter = (static_cast<uint64_t>(codebook) << 32) + static_cast<uint64_t>(code);
    const uint64_t bits = mix(key_ + counter * kStep) >> 41;
    const float uniform = (static_cast<float>(bits) + 0.5f) / 8388608.0f;
    return -std::log(-std::log(uniform));
}

int32_t sample(float* logits, int64_t num_codes, float temperature, int64_t top_k,
               const Noise& noise, int64_t codebook, float bias) {
    if (temperature == 0.0f) {
        logits[0] += bias;
        return static_cast<int32_t>(std::max_element(logits, logits + num_codes) - logits);
    }
    for (int64_t i = 0; i < num_codes; ++i) logits[i] /= temperature;
    float least = -INFINITY;
    if (top_k > 0 && top_k < num_codes) least = kth_largest(logits, num_codes, top_k);
    logits[0] += bias / temperature;
    float best = -INFINITY;
    int64_t code = 0;
    for (int64_t i = 0; i < num_codes; ++i) {
        if (!(logits[i] >= least) || logits[i] + Noise::kMost < best) continue;
        const float value = logits[i] + noise.of(codebook, i);
        if (value > best) {
            best = value;
            code = i;
        }
    }
    return static_cast<int32_t>(code);
}

float log_probability(const float* logits, int64_t num_codes, int64_t code) {
    const float most = *std::max_element(logits, logits + num_codes);
    float sum = 0.0f;
    for (int64_t i = 0; i < num_codes; ++i) sum += std::exp(logits[i] - most);
    return logits[code] - most - std::log(sum);
}

bool all_finite(const float* x, int64_t count) {
    int64_t wrong = 0;
    for (int64_t i = 0; i < count; ++i) wrong += !(std::fabs(x[i]) <= 3.402823466e38f);
    return wrong == 0;
}

}  // namespace causerie
