// Draws of codes, and the noise that they share with causerie.model.sampling.
#include "sampling.hpp"

#include <algorithm>

#include "check.hpp"
#include "tests.hpp"

using namespace causerie;

namespace {

void noise_is_that_of_the_python_side() {  // printed by causerie.model.sampling.gumbel_noise
    CHECK_NEAR(Noise(7, 3).of(0, 0), -0.46707284450531006, 1e-6);
    CHECK_NEAR(Noise(7, 3).of(2, 1000), 1.3730058670043945, 1e-6);
    CHECK_NEAR(Noise((int64_t{1} << 62) + 5, 3).of(31, 2050), -0.06250663846731186, 1e-6);
    CHECK_NEAR(Noise((int64_t{1} << 62) + 5, 3).of(0, 5), -0.2375805526971817, 1e-6);
}

void draws_are_argmaxes_of_logits_and_noise() {
    constexpr int64_t kCodes = 211;
    const auto logits = normal(kCodes, 41);
    for (int64_t frame = 0; frame < 100; ++frame)
        for (int64_t top_k : {0, 1, 5, 50, 500})
            for (float temperature : {0.0f, 0.6f, 1.3f}) {
                auto sorted = logits;
                std::sort(sorted.begin(), sorted.end(), std::greater<float>());
                const float least = top_k && top_k < kCodes ? sorted[top_k - 1] : sorted.back();
                const Noise noise(123, frame);
                int64_t expected = 0;
                float best = -INFINITY;
                for (int64_t code = 0; code < kCodes; ++code) {
                    const float value =
                        temperature == 0 ? logits[code]
                        : logits[code] < least
                            ? -INFINITY
                            : logits[code] / temperature + noise.of(3, code);
                    if (value > best) best = value, expected = code;
                }
                auto scratch = logits;
                CHECK(sample(scratch.data(), kCodes, temperature, top_k, noise, 3, 0.0f) == expected);
            }
}

void draws_follow_the_distribution() {
    const float logits[] = {0.0f, 1.0f, -1.0f, 0.5f};
    double total = 0;
    for (float logit : logits) total += std::exp(logit);
    constexpr int kDraws = 20000;
    int counts[4] = {};
    for (int frame = 0; frame < kDraws; ++frame) {
        float scratch[4];
        std::copy(std::begin(logits), std::end(logits), scratch);
        ++counts[sample(scratch, 4, 1, 0, Noise(9, frame), 0, 0.0f)];
    }
    for (int code = 0; code < 4; ++code)
        CHECK_NEAR(counts[code] / double(kDraws), std::exp(logits[code]) / total, 0.015);
}

void finite() {
    auto x = normal(100, 42);
    CHECK(all_finite(x.data(), 100));
    x[57] = NAN;
    CHECK(!all_finite(x.data(), 100) && all_finite(x.data(), 57));
    x[57] = -INFINITY;
    CHECK(!all_finite(x.data(), 58));
}

}  // namespace

void test_sampling() {
    noise_is_that_of_the_python_side();
    draws_are_argmaxes_of_logits_and_noise();
    draws_follow_the_distribution();
    finite();
}
