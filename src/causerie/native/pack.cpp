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

// A group of 64 weights as integers, with their error.
struct Quantized {
    uint16_t scale;
    float error;
    Ints whole[4];
};

Quantized round_group(const Floats (&x)[4], float scale, float least, float most) {
    Quantized out;
    out.scale = to_bf16(scale);
    const Floats rounded = floats(from_bf16(out.scale));  // the scale that products use
    Floats error = floats(0.0f);
    for (int i = 0; i < 4; ++i) {
        const Floats held = at_most(floats(most), at_least(floats(least), x[i] / rounded));
        Ints bits;
        const Floats off = x[i] - nearest(held, &bits) * rounded;
        out.whole[i] = shift_right(shift_left(bits, 24), 24);  // sign-extend the low byte
        error = fma(off, off, error);
    }
    out.error = sum(error);
    return out;
}

// The weight with the largest absolute value; NaN or infinity if there is one.
float farthest(const Floats (&x)[4]) {
    float values[kGroup];
    std::memcpy(values, x, sizeof values);
    float out = 0;
    for (float value : values)
        if (out == out && !(std::fabs(value) <= std::fabs(out))) out = value;
    return out;
}

Quantized quantize_group(const Floats (&x)[4], Format format) {
    const float top = farthest(x);
    if (!(std::fabs(top) > 1e-30f) || !std::isfinite(top)) {  // all zero, or not finite
        Quantized out{to_bf16(std::isfinite(top) ? 0.0f : top), 0, {}};
        for (Ints& whole : out.whole) whole = ints(1);
        return out;
    }
    if (format == Format::int8) return round_group(x, std::fabs(top) / 127, -127, 127);
    // The best of several widths of 16 asymmetric steps.
    Quantized best = round_group(x, top / -8, -8, 7);
    for (float factor : {0.8f, 0.85f, 0.9f, 0.95f, 1.05f}) {
        const Quantized other = round_group(x, top / -8 * factor, -8, 7);
        if (other.error < best.error) best = other;
    }
    return best;
}

// `data` is the start of the panels of its tile; this panel is number `index` of `width`.
void pack_integers(const Rows& rows, Format format, uint8_t* data, int64_t width, int64_t index) {
    const bool nibbles = format == Format::int4;
    const int64_t scale_bytes = width * kPanel * sizeof(uint16_t);
    const int64_t group_bytes = scale_bytes + width * kPanel * kGroup / (nibbles ? 2 : 1);
    for (int64_t i = 0; i < rows.count; ++i)
        for (int64_t first = 0; first < rows.k; first += kGroup) {
            Floats group[4] = {};
            std::memcpy(group, rows.w + i * rows.ld + first,
                        std::min(kGroup, rows.k - first) * sizeof(float));
            const Quantized quantized = quantize_group(group, format);
            uint8_t* group_at = data + first / kGroup * group_bytes;
            std::memcpy(group_at + (index * kPanel + i) * sizeof(uint16_t), &quantized.scale,
                        sizeof(uint16_t));
            // 32-bit word u of the group, byte k % 4
            const auto byte_at = [&](int64_t u, int64_t k) -> uint8_t& {
                return group_at[scale_bytes + ((u * width + index) * kPanel + i) * 4 + k % 4];
            };
            int32_t whole[kGroup];
            std::memcpy(whole, quantized.whole, sizeof whole);
            for (int64_t j = 0; j < kGroup; ++j) {
                if (nibbles)
                    byte_at(j / 8, j) |= static_cast<uint8_t>((whole[j] + 8) << (j / 4 % 2 * 4));
                else
                    byte_at(j / 4, j) = static_cast<uint8_t>(whole[j] + 128);
            }
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
    auto* p = new Packed{format, n, k, (n + kPanel - 1) / kPanel, 0, {}, false, {}};
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
    }
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
                pack_integers(rows, p.format, p.data.data() + at.first * p.panel_bytes, at.width,
                              at.index);
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
