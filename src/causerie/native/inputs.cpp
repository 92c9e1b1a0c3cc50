#include "inputs.hpp"

#include <algorithm>

namespace causerie {
namespace {

struct Scratch {
    Buffer<uint32_t> words;
    Buffer<float> scales;
    Buffer<int32_t> offsets;
};

thread_local Scratch scratch;

void round_row(const float* x, int64_t k, uint16_t* out) {
    int64_t i = 0;
    for (; i + kLanes <= k; i += kLanes) store_bf16(out + i, load(x + i));
    if (i < k) {
        float rest[kLanes] = {};
        uint16_t rounded[kLanes];
        std::memcpy(rest, x + i, (k - i) * sizeof(float));
        store_bf16(rounded, load(rest));
        std::memcpy(out + i, rounded, round_up(k - i, 2) * sizeof(uint16_t));
    }
}

float from_bits(int32_t bits) {
    float out;
    std::memcpy(&out, &bits, sizeof out);
    return out;
}

// Quantises a group of 64 to integers of ±127; returns their scale, and the sums of both halves.
float quantize_group(const Floats (&x)[4], int8_t* out, int32_t (&totals)[2]) {
    Ints top = ints(0);  // the bits of absolute values sort like the values, with NaN last
    for (int i = 0; i < 4; ++i) top = larger(top, as_ints(x[i]) & ints(0x7fffffff));
    const float most = from_bits(largest(top));
    const Floats inverse = floats(most > 0 ? 127.0f / most : 0.0f);
    Ints added[2] = {ints(0), ints(0)};
    for (int i = 0; i < 4; ++i) {
        Ints whole;
        nearest(x[i] * inverse, &whole);
        whole = shift_right(shift_left(whole, 24), 24);  // sign-extend the low byte
        added[i / 2] = added[i / 2] + whole;
        int32_t values[kLanes];
        store(values, whole);
        for (int j = 0; j < kLanes; ++j) out[i * kLanes + j] = static_cast<int8_t>(values[j]);
    }
    for (int half = 0; half < 2; ++half) {
        int32_t values[kLanes];
        store(values, added[half]);
        totals[half] = 0;
        for (int32_t value : values) totals[half] += value;
    }
    return most / 127.0f;
}

void quantize_row(const float* x, int64_t k, int32_t offset, int8_t* out, float* scales,
                  int32_t* offsets) {
    for (int64_t g = 0; g * kGroup < k; ++g) {
        float rest[kGroup] = {};
        const float* from = x + g * kGroup;
        if (k - g * kGroup < kGroup) {
            std::memcpy(rest, from, (k - g * kGroup) * sizeof(float));
            from = rest;
        }
        const Floats group[4] = {load(from), load(from + 16), load(from + 32), load(from + 48)};
        int32_t totals[2];
        scales[g] = quantize_group(group, out + g * kGroup, totals);
        for (int half = 0; half < 2; ++half)  // compensates the offset of the weights
            offsets[2 * g + half] = -offset * totals[half];
    }
}

// Rows per chunk of work.
template <class Body>
void each_row(Pool& pool, int64_t m, int64_t k, Body&& body) {
    const int64_t rows = std::max<int64_t>(1, (1 << 15) / k);
    parallel(pool, (m + rows - 1) / rows, [&](int64_t chunk) {
        const int64_t end = std::min(m, (chunk + 1) * rows);
        for (int64_t row = chunk * rows; row < end; ++row) body(row);
    });
}

}  // namespace

Inputs prepare(Pool& pool, Format format, const float* x, int64_t m, int64_t k, int64_t ldx) {
    if (format == Format::f32)
        return {reinterpret_cast<const uint32_t*>(x), ldx, nullptr, nullptr, 0};
    if (format == Format::bf16) {
        const int64_t ld = (k + 1) / 2;
        uint32_t* words = scratch.words.reserve(m * ld);
        each_row(pool, m, k, [&](int64_t row) {
            round_row(x + row * ldx, k, reinterpret_cast<uint16_t*>(words + row * ld));
        });
        return {words, ld, nullptr, nullptr, 0};
    }
    const int64_t groups = (k + kGroup - 1) / kGroup;
    const int32_t offset = format == Format::int8 ? 128 : format == Format::int5 ? 16 : 8;
    uint32_t* words = scratch.words.reserve(m * groups * kQuads);
    float* scales = scratch.scales.reserve(m * groups);
    int32_t* offsets = scratch.offsets.reserve(2 * m * groups);
    each_row(pool, m, k, [&](int64_t row) {
        quantize_row(x + row * ldx, k, offset,
                     reinterpret_cast<int8_t*>(words + row * groups * kQuads),
                     scales + row * groups, offsets + 2 * row * groups);
    });
    return {words, groups * kQuads, scales, offsets, groups};
}

}  // namespace causerie
