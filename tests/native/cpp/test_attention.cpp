// Attention against a softmax in double precision, and its cache.
#include "attention.hpp"

#include <cstring>

#include "check.hpp"
#include "simd.hpp"
#include "tests.hpp"

using namespace causerie;

namespace {

constexpr int64_t kPositions = 45, kHeads = 6, kKeyHeads = 2, kDim = 32, kLayers = 2;
constexpr int64_t kLd = (kHeads + 2 * kKeyHeads) * kDim, kOut = kHeads * kDim;
constexpr LlamaSizes kSizes{kLayers, kOut, kHeads, kKeyHeads, kDim, 1, 1e-5f};

struct Inputs {
    std::vector<float> qkv = normal(kPositions * kLd, 31);
    std::vector<float> cos, sin;

    Inputs() {
        for (int64_t position = 0; position < kPositions; ++position)
            for (int64_t j = 0; j < kDim / 2; ++j) {
                const double angle = position * std::pow(1e4, -2.0 * j / kDim);
                cos.push_back(static_cast<float>(std::cos(angle)));
                sin.push_back(static_cast<float>(std::sin(angle)));
            }
    }
};

// Attends to `count` positions from `first` on. Results are those of all of them.
void attend_span(Cache& cache, const Inputs& in, int64_t first, int64_t count, float* out) {
    const Rotation rotation{in.cos.data(), in.sin.data()};
    for (int64_t head = 0; head < kKeyHeads; ++head)
        attend(kSizes, rotation, 1, head, {&cache, first, count, first}, in.qkv.data(), kLd,
               kHeads * kDim, (kHeads + kKeyHeads) * kDim, count, out, kOut);
}

std::vector<double> turned(const Inputs& in, int64_t position, int64_t at) {
    std::vector<double> out(kDim);
    const float* x = &in.qkv[position * kLd + at];
    for (int64_t j = 0; j < kDim / 2; ++j) {
        const double cos = in.cos[position * kDim / 2 + j], sin = in.sin[position * kDim / 2 + j];
        out[j] = x[j] * cos - x[j + kDim / 2] * sin;
        out[j + kDim / 2] = x[j + kDim / 2] * cos + x[j] * sin;
    }
    return out;
}

std::vector<double> expected(const Inputs& in, int64_t position, int64_t head) {
    const int64_t key_head = head / (kHeads / kKeyHeads);
    const auto query = turned(in, position, head * kDim);
    std::vector<double> out(kDim);
    double total = 0;
    for (int64_t p = 0; p <= position; ++p) {
        const auto key = turned(in, p, (kHeads + key_head) * kDim);
        double score = 0;
        for (int64_t e = 0; e < kDim; ++e) score += query[e] * key[e];
        const double weight = std::exp(score / std::sqrt(double(kDim)));
        total += weight;
        const float* value = &in.qkv[p * kLd + (kHeads + kKeyHeads + key_head) * kDim];
        for (int64_t e = 0; e < kDim; ++e) out[e] += weight * value[e];
    }
    for (double& value : out) value /= total;
    return out;
}

void formats() {
    const Inputs in;
    for (Format format : {Format::f32, Format::bf16}) {
        Cache cache(kSizes, kPositions, format);
        std::vector<float> out(kPositions * kOut);
        attend_span(cache, in, 0, kPositions, out.data());
        for (int64_t position = 0; position < kPositions; ++position)
            for (int64_t head = 0; head < kHeads; ++head) {
                const auto wanted = expected(in, position, head);
                for (int64_t e = 0; e < kDim; ++e)
                    CHECK_NEAR(out[position * kOut + head * kDim + e], wanted[e],
                               format == Format::f32 ? 5e-6 : 0.05);
            }
    }
}

// A position's result is the same however many positions come at once, and after the cache was saved.
void pieces() {
    const Inputs in;
    for (Format format : {Format::f32, Format::bf16}) {
        std::vector<float> whole(kPositions * kOut), parts(kPositions * kOut);
        Cache cache(kSizes, kPositions, format), second(kSizes, kPositions, format);
        attend_span(cache, in, 0, kPositions, whole.data());
        attend_span(second, in, 0, 17, parts.data());
        std::vector<uint8_t> saved(second.saved_bytes(17));
        second.save(17, saved.data());
        Cache third(kSizes, kPositions, format);
        third.load(17, 17, saved.data());
        attend_span(third, in, 17, 12, &parts[17 * kOut]);
        for (int64_t position = 29; position < kPositions; ++position)
            attend_span(third, in, position, 1, &parts[position * kOut]);
        CHECK(!std::memcmp(whole.data(), parts.data(), whole.size() * sizeof(float)));
    }
}

}  // namespace

void test_attention() {
    formats();
    pieces();
}
