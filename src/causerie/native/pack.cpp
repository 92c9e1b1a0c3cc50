// Packs weights into panels: the part of gemm.hpp that runs once.
#include <algorithm>
#include <cmath>
#include <utility>

#include "gemm.hpp"
#include "simd.hpp"
#include "tile.hpp"

namespace causerie {
namespace {

// Sixteen rows of K weights, of which `count` exist.
struct Rows {
    const float* w;
    int64_t ld, count, k;
};

void pack_f32(const Rows& rows, float* out) {
    for (int64_t i = 0; i < rows.count; ++i) {
        const float* row = rows.w + i * rows.ld;
        for (int64_t k = 0; k < rows.k; ++k) out[k * kPanel + i] = row[k];
    }
}

void pack_bf16(const Rows& rows, uint16_t* out) {
    for (int64_t i = 0; i < rows.count; ++i) {
        const float* row = rows.w + i * rows.ld;
        for (int64_t k = 0; k < rows.k; ++k)
            out[(k / 2 * kPanel + i) * 2 + k % 2] = to_bf16(row[k]);
    }
}

void pack_compact(const Rows& rows, const Compact& out, Buffer<uint16_t>& plain) {
    Buffer<uint16_t> panel(rows.k * kPanel);
    pack_bf16(rows, panel.data());
    if (!compact(panel.data(), rows.k / 2, out)) plain = std::move(panel);
}

// Scales of int4 and int5: a row's factor makes the scale that reaches its largest weight kMostFactors. For
// each half of a group several scales are tried: this many parts of the one that reaches the half's
// largest weight, with both signs.
constexpr int kMostFactors = 127;
constexpr float kPartsTried[] = {1.06f, 1.0f, 0.94f, 0.88f, 0.82f, 0.76f, 0.7f};

// The largest absolute value; NaN or infinity if there is one.
float most_of(const float* values, int64_t count) {
    float out = 0;
    for (int64_t i = 0; i < count; ++i)
        if (out == out && !(std::fabs(values[i]) <= out)) out = std::fabs(values[i]);
    return out;
}

// Whether a scale can be made for these weights: they are finite, and not all (nearly) zero.
bool has_scale(float most) { return most > 1e-30f && std::isfinite(most); }

// A group of 64 weights as integers of ±127.
struct Bytes {
    uint16_t scale;
    Ints whole[4];
};

Bytes quantize_group(const float (&values)[kGroup]) {
    const float most = most_of(values, kGroup);
    Bytes out{to_bf16(has_scale(most) ? most / 127 : std::isfinite(most) ? 0.0f : most), {}};
    const Floats rounded = floats(from_bf16(out.scale));  // the scale that products use
    for (int i = 0; i < 4; ++i) {
        const Floats x = load(values + i * kLanes);
        const Floats held = at_most(floats(127), at_least(floats(-127), x / rounded));
        Ints bits;
        nearest(held, &bits);
        out.whole[i] = has_scale(most) ? shift_right(shift_left(bits, 24), 24) : ints(1);
    }
    return out;
}

// `data` is the start of the panels of its tile; this panel is number `index` of `width`.
void pack_int8(const Rows& rows, uint8_t* data, int64_t width, int64_t index) {
    const int64_t scale_bytes = width * kPanel * sizeof(uint16_t);
    const int64_t group_bytes = scale_bytes + width * kPanel * kGroup;
    for (int64_t i = 0; i < rows.count; ++i)
        for (int64_t first = 0; first < rows.k; first += kGroup) {
            float group[kGroup] = {};
            std::memcpy(group, rows.w + i * rows.ld + first,
                        std::min(kGroup, rows.k - first) * sizeof(float));
            const Bytes found = quantize_group(group);
            uint8_t* group_at = data + first / kGroup * group_bytes;
            std::memcpy(group_at + (index * kPanel + i) * sizeof(uint16_t), &found.scale,
                        sizeof(uint16_t));
            int32_t whole[kGroup];
            std::memcpy(whole, found.whole, sizeof whole);
            for (int64_t j = 0; j < kGroup; ++j)
                group_at[scale_bytes + ((j / 4 * width + index) * kPanel + i) * 4 + j % 4] =
                    static_cast<uint8_t>(whole[j] + 128);
        }
}

// Half a group of sixteen rows as integers of a few bits, from 0 on: a lane for each row.
struct Short {
    Ints scale;
    Ints whole[kHalf];
};

// The nearest integers from -levels to levels - 1, and in the low bits of the second as integers.
Floats nearest_level(const Floats& x, int levels, Ints* whole) {
    return nearest(at_most(floats(levels - 1), at_least(floats(-levels), x)), whole);
}

// The best integers from -levels to levels - 1 and their scale. The weights are those of the rows, divided
// by their factors.
Short quantize_half(const Floats (&x)[kHalf], int levels) {
    Floats most = floats(0.0f), top = floats(0.0f);
    for (const Floats& each : x) {
        const Floats size = as_floats(as_ints(each) & ints(0x7fffffff));
        const Ints more = less(most, size);
        most = select(more, size, most);
        top = select(more, each, top);
    }
    const Ints to_lowest = less(top, floats(0.0f));  // where a positive scale takes it to -levels
    Floats best = floats(1.0f), best_error = floats(INFINITY);
    Ints whole;
    for (float part : kPartsTried)
        for (float sign : {1.0f, -1.0f}) {
            const Floats near = nearest(most * floats(part / levels), &whole);
            const Floats size = at_most(floats(kMostFactors), at_least(floats(1.0f), near));
            const Floats scale = size * select(to_lowest, floats(sign), floats(-sign));
            const Floats inverse = floats(1.0f) / scale;
            Floats error = floats(0.0f);
            for (const Floats& each : x) {
                const Floats off = each - nearest_level(each * inverse, levels, &whole) * scale;
                error = fma(off, off, error);
            }
            const Ints better = less(error, best_error);
            best_error = select(better, error, best_error);
            best = select(better, scale, best);
        }
    Short out{to_ints(best), {}};
    const Floats inverse = floats(1.0f) / best;
    for (int64_t j = 0; j < kHalf; ++j) {
        nearest_level(x[j] * inverse, levels, &whole);
        out.whole[j] = (whole + ints(levels)) & ints(2 * levels - 1);
    }
    return out;
}

// As pack_int8, and the factors of the rows.
void pack_short(const Rows& rows, Format format, uint8_t* data, int64_t width, int64_t index,
                float* factors) {
    const bool fifth = format == Format::int5;
    const int levels = fifth ? 16 : 8;
    const int64_t words = width * 64, half_words = words * (fifth ? 5 : 4);
    const int64_t group_bytes = 2 * (width * kPanel + half_words);
    float inverses[kPanel] = {};  // 0 for rows without a scale
    for (int64_t i = 0; i < rows.count; ++i) {
        const float most = most_of(rows.w + i * rows.ld, rows.k);
        factors[i] = std::isfinite(most) ? 0.0f : most;
        if (!has_scale(most)) continue;
        factors[i] = most / static_cast<float>(kMostFactors * levels);
        inverses[i] = 1 / factors[i];
    }
    for (int64_t half = 0; half < round_up(rows.k, kGroup) / kHalf; ++half) {
        float turned[kHalf][kPanel] = {};
        for (int64_t i = 0; i < rows.count; ++i)
            for (int64_t k = half * kHalf; k < std::min(rows.k, (half + 1) * kHalf); ++k)
                if (inverses[i] > 0) turned[k % kHalf][i] = rows.w[i * rows.ld + k] * inverses[i];
        Floats x[kHalf];
        for (int64_t j = 0; j < kHalf; ++j) x[j] = load(turned[j]);
        const Short found = quantize_half(x, levels);
        uint8_t* group_at = data + half / 2 * group_bytes;
        int32_t scales[kPanel];
        store(scales, found.scale);
        for (int64_t i = 0; i < kPanel; ++i)
            group_at[(half % 2 * width + index) * kPanel + i] = static_cast<uint8_t>(scales[i]);
        uint8_t* at = group_at + 2 * width * kPanel + half % 2 * half_words + index * 64;
        const auto put = [&](const Ints& word) {
            store(reinterpret_cast<int32_t*>(at), word);
            at += words;
        };
        Ints bits = ints(0), nibbles[kHalf / 8];
        for (Ints& word : nibbles) word = ints(0);
        for (int j = 0; j < kHalf; ++j) {
            const int byte = 8 * (j % 4), u = j / 4;
            bits = bits | shift_left(shift_right(found.whole[j], 4), byte + u);
            const Ints nibble = found.whole[j] & ints(15);
            nibbles[u / 2] = nibbles[u / 2] | shift_left(nibble, byte + u % 2 * 4);
        }
        if (fifth) put(bits);
        for (const Ints& word : nibbles) put(word);
    }
}

}  // namespace

Packed::Place Packed::place(int64_t panel) const {
    const int64_t first = panel / kTilePanels * kTilePanels;
    if (first + kTilePanels <= num_panels) return {first, kTilePanels, panel - first};
    return {panel, 1, 0};
}

Compact Packed::compact_at(int64_t panel) const {
    const Place at = place(panel);
    uint8_t* tile = const_cast<uint8_t*>(data.data()) + at.first * panel_bytes;
    return {tile, at.width, at.index, k / 2};
}

Packed* new_packed(int64_t n, int64_t k, Format format, bool plain) {
    auto* p = new Packed{format, n, k, (n + kPanel - 1) / kPanel, 0, {}, {}, false, {}};
    p->compact = kCompacts && !plain && format == Format::bf16 && k % (2 * kStepWords) == 0;
    if (p->compact) p->plain.resize(p->num_panels);
    const int64_t groups = (k + kGroup - 1) / kGroup;
    switch (format) {
        case Format::f32: p->panel_bytes = k * kPanel * 4; break;
        case Format::bf16:
            p->panel_bytes = p->compact ? compact_bytes(k / 2) : (k + 1) / 2 * kPanel * 4;
            break;
        case Format::int8: p->panel_bytes = groups * kPanel * (kGroup + 2); break;
        case Format::int4: p->panel_bytes = groups * kPanel * (kGroup / 2 + 2); break;
        case Format::int5: p->panel_bytes = groups * kPanel * (kGroup * 5 / 8 + 2); break;
    }
    if (is_short(format)) p->factors.reserve(p->num_panels * kPanel);
    p->data.reserve(p->num_panels * p->panel_bytes);
    return p;
}

void pack_rows(Pool& pool, Packed& p, int64_t first, const float* w, int64_t n, int64_t ldw) {
    parallel(pool, (n + kPanel - 1) / kPanel, [&](int64_t chunk) {
        const int64_t panel = first / kPanel + chunk;
        const Rows rows{w + chunk * kPanel * ldw, ldw, std::min(kPanel, n - chunk * kPanel), p.k};
        uint8_t* data = p.data.data() + panel * p.panel_bytes;
        switch (p.format) {
            case Format::f32: pack_f32(rows, reinterpret_cast<float*>(data)); break;
            case Format::bf16:
                if (p.compact)
                    pack_compact(rows, p.compact_at(panel), p.plain[panel]);
                else
                    pack_bf16(rows, reinterpret_cast<uint16_t*>(data));
                break;
            default: {
                const Packed::Place at = p.place(panel);
                uint8_t* tile = p.data.data() + at.first * p.panel_bytes;
                if (p.format == Format::int8)
                    pack_int8(rows, tile, at.width, at.index);
                else
                    pack_short(rows, p.format, tile, at.width, at.index,
                               p.factors.data() + panel * kPanel);
            }
        }
    });
}

Packed* pack(const float* w, int64_t n, int64_t k, int64_t ldw, Format format) {
    Pool alone(1);
    Packed* p = new_packed(n, k, format);
    pack_rows(alone, *p, 0, w, n, ldw);
    return p;
}

}  // namespace causerie
