// Draws a code from logits, with noise that depends on the request: as causerie.model.sampling.
#pragma once

#include <cstdint>

namespace causerie {

// The noise of one frame of a request, one number per codebook and code.
class Noise {
   public:
    Noise(int64_t seed, int64_t frame);
    // Standard Gumbel noise, never more than kMost.
    float of(int64_t codebook, int64_t code) const;
    static constexpr float kMost = 17.0f;  // from 23 bits plus one half: -ln(-ln(1 - 2⁻²⁴)) is 16.6

   private:
    uint64_t key_;
};

// A code below num_codes: the likeliest if the temperature is 0, otherwise drawn from the top_k
// likeliest and those as likely as the last of them; top_k 0: from all. Logits are overwritten.
// The bias is added to the logit of code 0 after the others were ranked, so that it changes no draw
// between two other codes.
int32_t sample(float* logits, int64_t num_codes, float temperature, int64_t top_k,
               const Noise& noise, int64_t codebook, float bias);

// The natural logarithm of a code's probability at a temperature of 1.
float log_probability(const float* logits, int64_t num_codes, int64_t code);

bool all_finite(const float* x, int64_t count);

}  // namespace causerie
