#include "synthesizer.hpp"

#include <algorithm>
#include <cmath>

namespace causerie::source_filter {

Synthesizer::Bands::Bands(Arrays& arrays, int64_t num_bands) {
    const float* dense = arrays.next(num_bands * kBins);  // (bands, BINS)
    for (int64_t bin = 0; bin < kBins; ++bin) {
        int64_t band = 0;
        while (band < num_bands - 2 && dense[band * kBins + bin] == 0) ++band;
        first.push_back(band);
        for (int64_t other = 0; other < num_bands; ++other) {
            const float weight = dense[other * kBins + bin];
            if (other == band || other == band + 1)
                weights.push_back(weight);
            else if (weight != 0)
                throw std::invalid_argument("a bin depends on bands that are not neighbours");
        }
    }
}

Floats Synthesizer::Bands::at(const Floats* bands, int64_t bin) const {
    const Floats* band = bands + first[bin];
    return fma(floats(weights[2 * bin + 1]), band[1], floats(weights[2 * bin]) * band[0]);
}

Synthesizer::Synthesizer(Arrays& arrays, const Constants& constants)
    : constants_(constants),
      envelope_(arrays, constants.num_envelope),
      aperiodicity_(arrays, constants.num_aperiodicity),
      window_(copy(arrays, kWindow)) {
    const int64_t hops = constants.noise_hops;
    const float* spectra = arrays.next(hops * kBins * 2);  // (hops, BINS, 2)
    float* noise = noise_.reserve(kBins * 2 * (hops + kLanes));
    for (int64_t row = 0; row < kBins * 2; ++row)
        for (int64_t hop = 0; hop < hops + kLanes; ++hop)
            *noise++ = spectra[hop % hops * kBins * 2 + row];
}

void Synthesizer::operator()(Stream& stream, const float* parameters, int64_t num_hops, float* pcm,
                             Scratch& scratch) const {
    const int64_t size = num_hops * kHop;
    float* excitation = scratch.excitation.reserve(size + kWindow - kHop);
    float* sound = scratch.sound.reserve(size + kFft - kHop);
    std::copy_n(stream.excitation, kWindow - kHop, excitation);
    std::copy_n(stream.sound, kFft - kHop, sound);
    std::fill_n(sound + kFft - kHop, size, 0.0f);
    for (int64_t hop = 0; hop < num_hops; ++hop)
        pulse(stream, parameters + hop * num_parameters(), excitation + kWindow - kHop + hop * kHop);
    for (int64_t hop = 0; hop < num_hops; hop += kLanes)
        respond(parameters + hop * num_parameters(), excitation + hop * kHop, stream.hop + hop,
                std::min<int64_t>(kLanes, num_hops - hop), sound + hop * kHop, scratch);
    stream.hop += num_hops;
    std::copy_n(excitation + size, kWindow - kHop, stream.excitation);
    std::copy_n(sound + size, kFft - kHop, stream.sound);
    std::copy_n(sound, size, pcm);
}

// The pulses of a hop, without harmonics above top_hz. The pitch glides, in whole steps of the phase.
void Synthesizer::pulse(Stream& stream, const float* parameters, float* out) const {
    constexpr float kCycle = 4294967296.0f;
    const bool voiced = parameters[0] > 0;
    float pitch = constants_.middle_hz * std::exp(parameters[1] / 4);
    if (!(pitch >= constants_.lowest_hz)) pitch = constants_.lowest_hz;  // or NaN
    pitch = std::min(pitch, constants_.highest_hz);
    const auto last = static_cast<int32_t>(std::lrint(pitch * (kCycle / constants_.sample_rate)));
    const auto before = stream.step ? static_cast<int32_t>(stream.step) : last;
    // before + ⌊(last - before) · place / kHop⌋, in 32 bits.
    const int32_t difference = last - before;
    const int32_t whole = difference / kHop - (difference % kHop < 0);
    const int32_t rest = difference - whole * static_cast<int32_t>(kHop);
    int32_t steps[kHop + kLanes], phases[kHop + kLanes];
    for (int32_t i = 0; i < kHop; ++i)
        steps[i] = before + whole * (i + 1) + rest * (i + 1) / static_cast<int32_t>(kHop);
    for (int32_t i = 0; i < kHop; ++i)
        phases[i] = static_cast<int32_t>(stream.phase += static_cast<uint32_t>(steps[i]));
    stream.step = static_cast<uint32_t>(last);
    if (!voiced) {
        std::fill_n(out, kHop, 0.0f);
        return;
    }
    std::fill_n(steps + kHop, kLanes, last);
    std::fill_n(phases + kHop, kLanes, 0);
    for (int64_t i = 0; i < kHop; i += kLanes) {
        const Ints step = load(static_cast<const void*>(steps + i));
        const Ints phase = load(static_cast<const void*>(phases + i));
        const Floats frequency = to_floats(step) * floats(constants_.sample_rate / kCycle);
        // Σ cos(k · angle) for k = 1 … n, and a share of the next harmonic.
        const Floats harmonics = floats(constants_.top_hz) / frequency;
        const Ints count = to_ints(harmonics);
        const Floats n = to_floats(count);
        const Ints half = shift_right(phase, 1);  // drops a bit, 2⁻³³ of a cycle
        const Floats below = sin_cos_of_turn(half).sin * floats(2.0f);
        const Floats above = sin_cos_of_turn(count * phase + half).sin;
        const Ints flat = less(as_floats(as_ints(below) & ints(0x7fffffff)), floats(2e-3f));
        Floats total = select(flat, n + floats(0.5f), above / select(flat, floats(1.0f), below));
        const Floats next = sin_cos_of_turn(count * phase + phase).cos;
        total = fma(harmonics - n, next, total - floats(0.5f));
        const Floats level = sqrt(frequency * floats(1.0f / constants_.sample_rate)) * floats(2.0f);
        store_some(out + i, total * level, kHop - i);
    }
}

// Adds the responses of up to kLanes hops to sound, of which (num_hops - 1) · kHop + kFft samples exist.
void Synthesizer::respond(const float* parameters, const float* excitation, int64_t first_hop,
                          int64_t num_hops, float* sound, Scratch& scratch) const {
    Complex* gains = scratch.gains.reserve(kBins);
    const bool voiced = find_source(excitation, num_hops, scratch);
    // Parameters and lanes change places.
    const int64_t count = num_parameters();
    float* turned = reinterpret_cast<float*>(scratch.parameters.reserve(count));
    for (int64_t hop = 0; hop < num_hops; ++hop)
        for (int64_t i = 0; i < count; ++i) turned[i * kLanes + hop] = parameters[hop * count + i];
    const Floats* lanes = scratch.parameters.data();

    // The log gains of the two filters: of the pulses, and of the noise, which is all of unvoiced sound.
    const Floats* envelope = lanes + 2;
    const Floats* aperiodicity = envelope + constants_.num_envelope;
    const Floats zero = floats(0.0f), half = floats(0.5f), most = floats(constants_.max_log_gain);
    const Floats voiced_half = select(less(zero, lanes[0]), half, zero);
    for (int64_t bin = 0; bin < kBins; ++bin) {
        const Floats gain = envelope_.at(envelope, bin), share = aperiodicity_.at(aperiodicity, bin);
        // ln σ(±share) = min(±share, 0) - ln(1 + e^-|share|).
        const Floats minus = zero - share;
        const Floats rest = log1p(exp(at_most(share, minus)));
        const Floats pulses = fma(half, at_most(zero, minus) - rest, gain);
        const Floats noise = fma(voiced_half, at_most(zero, share) - rest, gain);
        gains[bin] = {at_most(most, pulses), at_most(most, noise)};
    }

    const Complex* phases = find_phases(scratch);
    const float* white = noise_.data() + first_hop % constants_.noise_hops;
    const int64_t row = constants_.noise_hops + kLanes;
    const auto filter = [](const Floats& log_gain, const Floats& phase) {
        const Floats size = exp(log_gain);
        const SinCos turn = sin_cos(phase);
        return Complex{size * turn.cos, size * turn.sin};
    };
    for (int64_t bin = 0; bin < kBins; ++bin, white += 2 * row) {
        const Complex both = gains[bin];
        gains[bin] = filter(both.im, zero - phases[bin].re) * Complex{load(white), load(white + row)};
        if (voiced)
            gains[bin] = gains[bin] + filter(both.re, phases[bin].im) * scratch.source[bin];
    }

    // Back to samples: kFft real numbers as half as many complex ones. Transforming with real and
    // imaginary parts exchanged is the inverse.
    gains[0].im = gains[kBins - 1].im = zero;
    Complex* packed = scratch.first.data();
    for (int64_t k = 0; k < kFft / 2; ++k) {
        const Complex a = gains[k], b = {gains[kFft / 2 - k].re, zero - gains[kFft / 2 - k].im};
        const Complex even = a + b, root = fft_.root(k);
        const Complex odd = (a - b) * Complex{root.re, zero - root.im};
        packed[k] = {even.im + odd.re, even.re - odd.im};
    }
    packed = fft_(kFft / 2, packed, scratch.second.data());
    const float* samples = reinterpret_cast<const float*>(packed);
    for (int64_t hop = 0; hop < num_hops; ++hop, sound += kHop)
        for (int64_t n = 0; n < kFft; ++n)
            sound[n] += samples[(n ^ 1) * kLanes + hop] * (1.0f / kFft);
}

// Computes the spectra of the pulses in `source`, unless there are none.
bool Synthesizer::find_source(const float* excitation, int64_t num_hops, Scratch& scratch) const {
    const int64_t size = kWindow - kHop + num_hops * kHop;
    Complex *packed = scratch.first.reserve(kFft), *other = scratch.second.reserve(kFft);
    Complex* source = scratch.source.reserve(kBins);
    if (std::all_of(excitation, excitation + size, [](float x) { return x == 0; })) return false;
    // kFft real numbers as half as many complex ones, most of which are padding.
    float* samples = reinterpret_cast<float*>(packed);
    std::fill_n(samples, kFft * kLanes, 0.0f);
    for (int64_t hop = 0; hop < num_hops; ++hop)
        for (int64_t n = 0; n < kWindow; ++n)
            samples[n * kLanes + hop] = excitation[hop * kHop + n] * window_[n];
    packed = fft_(kFft / 2, packed, other);
    const Floats zero = floats(0.0f), half = floats(0.5f);
    for (int64_t k = 0; k < kBins; ++k) {
        const Complex a = packed[k % (kFft / 2)], c = packed[(kFft / 2 - k) % (kFft / 2)];
        const Complex b = {c.re, zero - c.im}, even = a + b, difference = a - b;
        const Complex odd = Complex{difference.im, zero - difference.re} * fft_.root(k);
        source[k] = {half * (even.re + odd.re), half * (even.im + odd.im)};
    }
    return true;
}

// The phases of the two minimum-phase filters: minus that of the second as the real part, that of the
// first as the imaginary one. A phase is minus the Hilbert transform of the log gain: transform, keep
// one side of the cepstrum with the sign +, the other with -, transform.
const Complex* Synthesizer::find_phases(Scratch& scratch) const {
    const Complex* gains = scratch.gains.data();
    Complex *x = scratch.first.data(), *y = scratch.second.data();
    std::copy_n(gains, kBins, x);
    for (int64_t bin = kBins; bin < kFft; ++bin) x[bin] = gains[kFft - bin];
    Complex* cepstra = fft_(kFft, x, y);
    const Floats zero = floats(0.0f), plus = floats(1.0f / kFft), minus = floats(-1.0f / kFft);
    cepstra[0] = cepstra[kFft / 2] = {zero, zero};
    for (int64_t n = 1; n < kFft / 2; ++n) {
        Complex &left = cepstra[n], &right = cepstra[kFft - n];
        left = {left.re * plus, left.im * plus};
        right = {right.re * minus, right.im * minus};
    }
    return fft_(kFft, cepstra, cepstra == x ? y : x);
}

}  // namespace causerie::source_filter
