// The innermost loops of a product: several rows of inputs times several panels of packed weights.
//
// Knows nothing about threads or the tiling of a product. With any tiling, an element's sum runs over k
// in order in one accumulator, so all tilings give equal results, to the bit.
#pragma once

#include <algorithm>

#include "gemm.hpp"
#include "simd.hpp"

namespace causerie {

// Inputs of a product in 32-bit words: one fp32, two bf16 or four int8 numbers.
struct Inputs {
    const uint32_t* words;
    int64_t ld;             // words between rows
    const float* scales;    // (rows, groups), integers only
    const int32_t* offsets;  // (rows, groups, 2): initial values of the sums of a group's halves
    int64_t groups;

    Inputs from(int64_t row) const {
        return {words + row * ld, ld, scales ? scales + row * groups : nullptr,
                offsets ? offsets + 2 * row * groups : nullptr, groups};
    }
};

// Panels of weights, `panel_bytes` apart; for integers, the interleaved panels of a tile: see
// gemm.hpp.
struct Panels {
    const uint8_t* data;
    int64_t panel_bytes;
};

#if defined(CAUSERIE_AVX512)
constexpr int kTileRows = 6, kTilePanels = 4;
#elif defined(CAUSERIE_AVX2)
constexpr int kTileRows = 3, kTilePanels = 2;
#else
constexpr int kTileRows = 3, kTilePanels = 1;
#endif

constexpr int64_t kQuads = kGroup / 4;  // words per group

// Bytes that integers prefetch ahead when there are few rows.
constexpr int64_t kAhead = 2048;

// fp32 and bf16: a word at a time. Adds words begin … end - 1 of k to the sums.
template <Format F, int ROWS, int PANELS>
inline void multiply_floats(const Panels& w, const Inputs& x, int64_t begin, int64_t end,
                            Floats* sums) {
    Floats acc[ROWS][PANELS];
    CAUSERIE_UNROLL for (int r = 0; r < ROWS; ++r)
        CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p) acc[r][p] = sums[r * PANELS + p];
    const uint8_t* panel = w.data + begin * 64;
    const uint32_t* row = x.words + begin;
    for (int64_t u = begin; u < end; ++u, panel += 64, ++row) {
        Ints weights[PANELS];
        CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p)
            weights[p] = load(static_cast<const void*>(panel + p * w.panel_bytes));
        CAUSERIE_UNROLL for (int r = 0; r < ROWS; ++r) {
            const Ints input = ints(static_cast<int32_t>(row[r * x.ld]));
            CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p) {
                if constexpr (F == Format::f32)
                    acc[r][p] = fma(as_floats(weights[p]), as_floats(input), acc[r][p]);
                else
                    acc[r][p] = dot2(weights[p], input, acc[r][p]);
            }
        }
    }
    CAUSERIE_UNROLL for (int r = 0; r < ROWS; ++r)
        CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p) sums[r * PANELS + p] = acc[r][p];
}

// Integers with few rows: prefetches the first bytes at `at`; the loops prefetch further ahead.
template <int ROWS>
CAUSERIE_INLINE void prefetch_first(const uint8_t* at) {
    if constexpr (ROWS <= 2)
        for (int64_t line = 0; line < kAhead; line += 64) __builtin_prefetch(at + line);
}
template <int ROWS>
CAUSERIE_INLINE void prefetch_ahead(const uint8_t* at, int64_t num_bytes) {
    if constexpr (ROWS <= 2)
        for (int64_t line = 0; line < num_bytes; line += 64) __builtin_prefetch(at + kAhead + line);
}

// int8: a group at a time, exact within it. begin and end are multiples of a group.
template <int ROWS, int PANELS>
inline void multiply_int8(const Panels& w, const Inputs& x, int64_t begin, int64_t end, Floats* sums) {
    constexpr int64_t kScales = PANELS * kPanel * sizeof(uint16_t);
    const uint8_t* at = w.data + begin / kQuads * (kScales + PANELS * kQuads * 64);
    prefetch_first<ROWS>(at);
    for (int64_t g = begin / kQuads; g < end / kQuads; ++g) {
        Ints acc[ROWS][PANELS];
        CAUSERIE_UNROLL for (int r = 0; r < ROWS; ++r) {
            const int32_t* offsets = x.offsets + 2 * (r * x.groups + g);
            CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p) acc[r][p] = ints(offsets[0] + offsets[1]);
        }
        const auto* scales_at = reinterpret_cast<const uint16_t*>(at);
        prefetch_ahead<ROWS>(at, kScales);
        at += kScales;
        const uint32_t* row = x.words + g * kQuads;
        for (int64_t u = 0; u < kQuads; ++u, at += 64 * PANELS, ++row) {
            prefetch_ahead<ROWS>(at, 64 * PANELS);
            Ints weights[PANELS];
            CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p)
                weights[p] = load(static_cast<const void*>(at + p * 64));
            CAUSERIE_UNROLL for (int r = 0; r < ROWS; ++r) {
                const Ints input = ints(static_cast<int32_t>(row[r * x.ld]));
                CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p)
                    acc[r][p] = dot4(weights[p], input, acc[r][p]);
            }
        }
        Floats scales[PANELS];
        CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p)
            scales[p] = load_bf16(scales_at + p * kPanel);
        CAUSERIE_UNROLL for (int r = 0; r < ROWS; ++r) {
            const Floats scale = floats(x.scales[r * x.groups + g]);
            CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p) {
                Floats& total = sums[r * PANELS + p];
                total = fma(to_floats(acc[r][p]) * scale, scales[p], total);
            }
        }
    }
}

// Bit u of each byte, as 16.
CAUSERIE_INLINE Ints fifth_bits(const Ints& bits, int u) {
    return (u < 4 ? shift_left(bits, 4 - u) : shift_right(bits, u - 4)) & ints(0x10101010);
}

// int4 and int5: half a group at a time, exact within it. begin and end are multiples of a group. Sums
// lack the factors of their rows of weights.
template <Format F, int ROWS, int PANELS>
inline void multiply_short(const Panels& w, const Inputs& x, int64_t begin, int64_t end, Floats* sums) {
    constexpr int64_t kScales = PANELS * kPanel;  // of half a group
    constexpr int64_t kWords = PANELS * 64;
    constexpr int64_t kHalfWords = kWords * (F == Format::int5 ? 5 : 4);
    // With one row, the high nibbles of int4 stay where they are, and their sums are shifted.
    constexpr bool kUnshifted = F == Format::int4 && ROWS == 1;
    const Ints nibble = ints(0x0f0f0f0f), high = ints(static_cast<int32_t>(0xf0f0f0f0u));
    const uint8_t* at = w.data + begin / kQuads * 2 * (kScales + kHalfWords);
    prefetch_first<ROWS>(at);
    for (int64_t g = begin / kQuads; g < end / kQuads; ++g) {
        const uint8_t* scales_at = at;
        prefetch_ahead<ROWS>(at, 2 * kScales);
        at += 2 * kScales;
        for (int half = 0; half < 2; ++half, scales_at += kScales) {
            Ints acc[ROWS][PANELS], sixteenfold[ROWS][PANELS];
            CAUSERIE_UNROLL for (int r = 0; r < ROWS; ++r)
                CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p) {
                    acc[r][p] = ints(x.offsets[2 * (r * x.groups + g) + half]);
                    sixteenfold[r][p] = ints(0);
                }
            const uint8_t* bits_at = at;
            if constexpr (F == Format::int5) {
                prefetch_ahead<ROWS>(at, kWords);
                at += kWords;
            }
            const uint32_t* row = x.words + g * kQuads + half * kQuads / 2;
            CAUSERIE_UNROLL for (int u = 0; u < 8; u += 2, at += kWords) {
                prefetch_ahead<ROWS>(at, kWords);
                Ints first[PANELS], second[PANELS];
                CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p) {
                    first[p] = load(static_cast<const void*>(at + p * 64));
                    second[p] = kUnshifted ? first[p] & high : shift_right(first[p], 4) & nibble;
                    first[p] = first[p] & nibble;
                    if constexpr (F == Format::int5) {
                        const Ints bits = load(static_cast<const void*>(bits_at + p * 64));
                        first[p] = first[p] | fifth_bits(bits, u);
                        second[p] = second[p] | fifth_bits(bits, u + 1);
                    }
                }
                CAUSERIE_UNROLL for (int r = 0; r < ROWS; ++r) {
                    const Ints input = ints(static_cast<int32_t>(row[r * x.ld + u]));
                    const Ints next = ints(static_cast<int32_t>(row[r * x.ld + u + 1]));
                    CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p)
                        acc[r][p] = dot4(first[p], input, acc[r][p]);
                    CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p) {
                        Ints& to = kUnshifted ? sixteenfold[r][p] : acc[r][p];
                        to = dot4(second[p], next, to);
                    }
                }
            }
            Ints scales[PANELS];
            CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p)
                scales[p] = load_bytes(scales_at + p * kPanel);
            CAUSERIE_UNROLL for (int r = 0; r < ROWS; ++r) {
                const Floats scale = floats(x.scales[r * x.groups + g]);
                CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p) {
                    Ints whole = acc[r][p];
                    if constexpr (kUnshifted) whole = whole + shift_right(sixteenfold[r][p], 4);
                    Floats& total = sums[r * PANELS + p];
                    total = fma(to_floats(whole * scales[p]), scale, total);  // below 2²⁴: exact
                }
            }
        }
    }
}

// Adds words begin … end - 1 of ROWS rows times PANELS panels to sums[row · PANELS + panel].
template <Format F, int ROWS, int PANELS>
void multiply(const Panels& w, const Inputs& x, int64_t begin, int64_t end, Floats* sums) {
    if constexpr (F == Format::f32 || F == Format::bf16)
        multiply_floats<F, ROWS, PANELS>(w, x, begin, end, sums);
    else if constexpr (F == Format::int8)
        multiply_int8<ROWS, PANELS>(w, x, begin, end, sums);
    else
        multiply_short<F, ROWS, PANELS>(w, x, begin, end, sums);
}

using Multiply = void (*)(const Panels&, const Inputs&, int64_t, int64_t, Floats*);

template <Format F, int PANELS>
Multiply multiply_rows(int rows) {
    static constexpr Multiply by_rows[] = {multiply<F, 1, PANELS>, multiply<F, 2, PANELS>,
                                       multiply<F, 3, PANELS>, multiply<F, 4, PANELS>,
                                       multiply<F, 5, PANELS>, multiply<F, 6, PANELS>};
    return by_rows[rows - 1];
}

template <int PANELS>
Multiply multiply_of(Format format, int rows) {
    switch (format) {
        case Format::f32: return multiply_rows<Format::f32, PANELS>(rows);
        case Format::bf16: return multiply_rows<Format::bf16, PANELS>(rows);
        case Format::int8: return multiply_rows<Format::int8, PANELS>(rows);
        case Format::int4: return multiply_rows<Format::int4, PANELS>(rows);
        default: return multiply_rows<Format::int5, PANELS>(rows);
    }
}

#if defined(__AVX2__)
// Adds ROWS rows times PANELS panels of compact weights, those of a tile, to the sums.
template <int ROWS, int PANELS>
void multiply_compact(const Packed& w, int64_t panel, const Inputs& x, Floats* sums) {
    const int64_t steps = w.k / 2 / kStepWords;
    const CompactHeader* headers[PANELS];
    Tops tops[PANELS];
    for (int p = 0; p < PANELS; ++p) {
        headers[p] = &w.compact_at(panel + p).header();
        tops[p] = load_tops(headers[p]->tops);
    }
    uint32_t next[PANELS] = {};  // index of the next separate number
    const uint8_t* at = w.compact_at(panel).steps;
    const uint32_t* row = x.words;
    for (int64_t step = 0; step < kStepsAhead; ++step) prefetch_step(at + step * kStepBytes);
    Floats acc[ROWS][PANELS];
    CAUSERIE_UNROLL for (int r = 0; r < ROWS; ++r)
        CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p) acc[r][p] = sums[r * PANELS + p];
    const auto multiply_step = [&](const Ints(&weights)[kStepWords], int p) {
        CAUSERIE_UNROLL for (int i = 0; i < kStepWords; ++i)
            CAUSERIE_UNROLL for (int r = 0; r < ROWS; ++r) acc[r][p] =
                dot2(weights[i], ints(static_cast<int32_t>(row[r * x.ld + i])), acc[r][p]);
    };
    for (int64_t step = 0;; ++step) {
        int64_t end = steps;  // up to the next step with separate numbers
        for (int p = 0; p < PANELS; ++p)
            if (next[p] < headers[p]->num_others)
                end = std::min<int64_t>(end, headers[p]->others[next[p]].index / kStepNumbers);
        for (; step < end; ++step, row += kStepWords)
            CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p, at += kStepBytes) {
                Ints weights[kStepWords];
                expand_step(at, tops[p], weights);
                prefetch_step(at + kStepsAhead * kStepBytes);
                multiply_step(weights, p);
            }
        if (step == steps) break;
        CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p, at += kStepBytes) {
            Ints weights[kStepWords];
            expand_step(at, tops[p], weights);
            for (; next[p] < headers[p]->num_others; ++next[p]) {
                const CompactHeader::Other& other = headers[p]->others[next[p]];
                if (other.index / kStepNumbers != step) break;
                put_number(other.index % kStepNumbers, other.bits, weights);
            }
            multiply_step(weights, p);
        }
        row += kStepWords;
    }
    CAUSERIE_UNROLL for (int r = 0; r < ROWS; ++r)
        CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p) sums[r * PANELS + p] = acc[r][p];
}

using MultiplyCompact = void (*)(const Packed&, int64_t, const Inputs&, Floats*);

template <int PANELS>
MultiplyCompact multiply_compact_of(int rows) {
    static constexpr MultiplyCompact by_rows[] = {
        multiply_compact<1, PANELS>, multiply_compact<2, PANELS>, multiply_compact<3, PANELS>,
        multiply_compact<4, PANELS>, multiply_compact<5, PANELS>, multiply_compact<6, PANELS>};
    return by_rows[rows - 1];
}
#endif

// Rows per tile: as many as the registers hold, in tiles of about equal size.
inline int tile_rows(int64_t m) {
    const int64_t tiles = (m + kTileRows - 1) / kTileRows;
    return static_cast<int>((m + tiles - 1) / tiles);
}

}  // namespace causerie
