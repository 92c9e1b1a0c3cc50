// The innermost loops of a product: some rows of inputs times some panels of packed weights.
//
// Knows nothing of threads or of how a product is cut. Whatever the cut, an element's sum runs over
// k from the first to the last in one accumulator, so the results of all cuts are equal to the bit.
#pragma once

#include "gemm.hpp"
#include "simd.hpp"

namespace causerie {

// Rows ready to be multiplied, in words of 32 bits: one fp32, two bf16 or four int8 numbers.
struct Inputs {
    const uint32_t* words;
    int64_t ld;             // words from a row to the next
    const float* scales;    // (rows, groups), int8 and int4 only
    const int32_t* offsets;  // (rows, groups): what the sums of a group begin with
    int64_t groups;

    Inputs from(int64_t row) const {
        return {words + row * ld, ld, scales ? scales + row * groups : nullptr,
                offsets ? offsets + row * groups : nullptr, groups};
    }
};

// Panels of weights that lie `panel_bytes` apart.
struct Panels {
    const uint8_t* data;
    int64_t panel_bytes;
    const uint16_t* scales;
    int64_t panel_scales;
};

#if defined(CAUSERIE_AVX512)
constexpr int kTileRows = 6, kTilePanels = 4;
#elif defined(CAUSERIE_AVX2)
constexpr int kTileRows = 3, kTilePanels = 2;
#else
constexpr int kTileRows = 3, kTilePanels = 1;
#endif

constexpr int64_t kQuads = kGroup / 4;  // words to a group

// Bytes of a panel that int4 asks for ahead of their use when there are few rows: its panels are so
// short that the processor finds their streams too late. 44 → 54 GB/s; 1,536 and 4,096 give less.
constexpr int64_t kAhead = 2560;

#define CAUSERIE_UNROLL _Pragma("GCC unroll 16")

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

// int8 and int4: a group at a time, exact within it. begin and end are at groups.
template <Format F, int ROWS, int PANELS>
inline void multiply_integers(const Panels& w, const Inputs& x, int64_t begin, int64_t end,
                              Floats* sums) {
    constexpr int64_t kBytes = F == Format::int8 ? 64 : 32;  // of a panel, a word of k
    const Ints nibble = ints(0x0f0f0f0f);
    for (int64_t g = begin / kQuads; g < end / kQuads; ++g) {
        Ints acc[ROWS][PANELS];
        CAUSERIE_UNROLL for (int r = 0; r < ROWS; ++r)
            CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p)
                acc[r][p] = ints(x.offsets[r * x.groups + g]);
        const uint8_t* panel = w.data + g * kQuads * kBytes;
        const uint32_t* row = x.words + g * kQuads;
        for (int64_t u = 0; u < kQuads; u += 64 / kBytes, panel += 64, row += 64 / kBytes) {
            Ints first[PANELS], second[PANELS];
            CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p) {
                first[p] = load(static_cast<const void*>(panel + p * w.panel_bytes));
                if constexpr (F == Format::int4 && ROWS <= 2)
                    __builtin_prefetch(panel + p * w.panel_bytes + kAhead);
                if constexpr (F == Format::int4) {
                    second[p] = shift_right(first[p], 4) & nibble;
                    first[p] = first[p] & nibble;
                }
            }
            CAUSERIE_UNROLL for (int r = 0; r < ROWS; ++r) {
                const Ints input = ints(static_cast<int32_t>(row[r * x.ld]));
                CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p)
                    acc[r][p] = dot4(first[p], input, acc[r][p]);
                if constexpr (F == Format::int4) {
                    const Ints next = ints(static_cast<int32_t>(row[r * x.ld + 1]));
                    CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p)
                        acc[r][p] = dot4(second[p], next, acc[r][p]);
                }
            }
        }
        if constexpr (ROWS <= 2)  // scales of the next tile, which come too late by themselves
            CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p)
                __builtin_prefetch(w.scales + (PANELS + p) * w.panel_scales + g * kPanel);
        Floats scales[PANELS];
        CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p)
            scales[p] = load_bf16(w.scales + p * w.panel_scales + g * kPanel);
        CAUSERIE_UNROLL for (int r = 0; r < ROWS; ++r) {
            const Floats scale = floats(x.scales[r * x.groups + g]);
            CAUSERIE_UNROLL for (int p = 0; p < PANELS; ++p) {
                Floats& total = sums[r * PANELS + p];
                total = fma(to_floats(acc[r][p]) * scale, scales[p], total);
            }
        }
    }
}

// Adds words begin … end - 1 of ROWS rows times PANELS panels to sums[row · PANELS + panel].
template <Format F, int ROWS, int PANELS>
void multiply(const Panels& w, const Inputs& x, int64_t begin, int64_t end, Floats* sums) {
    if constexpr (F == Format::f32 || F == Format::bf16)
        multiply_floats<F, ROWS, PANELS>(w, x, begin, end, sums);
    else
        multiply_integers<F, ROWS, PANELS>(w, x, begin, end, sums);
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
        default: return multiply_rows<Format::int4, PANELS>(rows);
    }
}

// Rows to a tile: as many as the registers hold, and of about equal tiles.
inline int tile_rows(int64_t m) {
    const int64_t tiles = (m + kTileRows - 1) / kTileRows;
    return static_cast<int>((m + tiles - 1) / tiles);
}

}  // namespace causerie
