// The synthesizer of the source-filter decoder: parameters of hops in, audio out, for one stream.
// Knows nothing about the network that predicts the parameters.
//
// The maths is that of `synthesize` in causerie/codec/source_filter.py. Lanes are hops, sixteen of one
// stream at a time, so that a stream's audio depends only on its own parameters, to the bit.
#pragma once

#include <cstdint>
#include <vector>

#include "codec.hpp"
#include "fft.hpp"

namespace causerie::source_filter {

constexpr int64_t kHop = 120;  // samples
constexpr int64_t kWindow = 2 * kHop;
constexpr int64_t kFft = 512;
constexpr int64_t kBins = kFft / 2 + 1;

// As in causerie.codec.source_filter.
struct Constants {
    int64_t num_envelope, num_aperiodicity, noise_hops;
    float sample_rate, top_hz, lowest_hz, highest_hz, middle_hz, max_log_gain;
};

// The state of a stream; zeros at its start.
struct Stream {
    int64_t hop;                  // number of the next hop
    uint32_t step, phase;         // of the last sample, in cycles / 2³²
    float excitation[kWindow - kHop];  // pulses that the next window also sees
    float sound[kFft - kHop];     // sums that the next windows complete
};

class Synthesizer {
   public:
    // Memory for one call at a time.
    struct Scratch {
        Buffer<float> excitation, sound;
        Buffer<Floats> parameters;
        Buffer<Complex> first, second, source, gains;
    };

    Synthesizer(Arrays& arrays, const Constants& constants);

    // Numbers for a hop: logit of voicing, 4 ln(pitch / middle_hz), log gains, logits of noise.
    int64_t num_parameters() const {
        return 2 + constants_.num_envelope + constants_.num_aperiodicity;
    }

    // Computes the next num_hops · kHop samples from parameters (num_hops, num_parameters).
    void operator()(Stream& stream, const float* parameters, int64_t num_hops, float* pcm,
                    Scratch& scratch) const;

   private:
    // Linear interpolation between two neighbouring bands, for each bin.
    struct Bands {
        std::vector<int64_t> first;
        std::vector<float> weights;  // of the first band and the next, (BINS, 2)
        Bands(Arrays& arrays, int64_t num_bands);
        Floats at(const Floats* bands, int64_t bin) const;
    };

    void pulse(Stream& stream, const float* parameters, float* out) const;
    bool find_source(const float* excitation, int64_t num_hops, Scratch& scratch) const;
    const Complex* find_phases(Scratch& scratch) const;
    void respond(const float* parameters, const float* excitation, int64_t first_hop,
                 int64_t num_hops, float* sound, Scratch& scratch) const;

    const Constants constants_;
    const Bands envelope_, aperiodicity_;
    const std::vector<float> window_;
    Buffer<float> noise_;  // (BINS, 2, noise_hops + kLanes): the first hops repeat at the end
    const Fft fft_{kFft};
};

}  // namespace causerie::source_filter
