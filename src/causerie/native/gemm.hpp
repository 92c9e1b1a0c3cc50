// Products with packed weights: y = x · Wᵀ. Knows nothing about models.
//
// Every element of y is summed over k in one fixed order, whatever M, its tile, or its thread. So row i
// of y depends only on row i of x, to the bit, in every format.
#pragma once

#include <cstdint>
#include <vector>

#include "compact.hpp"
#include "memory.hpp"
#include "pool.hpp"

namespace causerie {

// Storage of weights. With bf16 the inputs are rounded to bf16 too. With integers the inputs are
// quantised to int8 on the fly, each group of 64 with its own scale. The weights of a row have a bf16
// scale per group of 64 with int8. With int4 and int5 they have one fp32 factor, and for each half of a
// group a scale of ±1 to ±127 such factors, the best of several. Sums are in fp32; within a group or half,
// exact in integers.
enum class Format : int { f32 = 0, bf16 = 1, int8 = 2, int4 = 3, int5 = 4 };

constexpr int64_t kPanel = 16;          // rows of W per panel, one per lane
constexpr int64_t kGroup = 64;          // inputs per scale
constexpr int64_t kHalf = kGroup / 2;   // weights per scale with int4 and int5

constexpr bool is_short(Format format) { return format == Format::int4 || format == Format::int5; }

// Weights (N, K) in panels of 16 rows, padded with zeros:
// f32 [N/16][K][16], bf16 [N/16][K/2][16][2] (or as in compact.hpp). For integers, the P panels (or
// one) that a tile of tile.hpp reads together are interleaved, so that memory is read sequentially:
// int8 [N/16/P][K/64] of scales [P][16] in bf16, followed by [16][P][16][4] with w + 128; int4
// [N/16/P][K/64] of scales [2][P][16], followed for each half by [4][P][16][4] with w + 8:
// k = 8u … 8u+3 in the low nibbles. int5, with w + 16, has the fifth bits of each half before its
// nibbles: [P][16][4], k = 4u … 4u+3 in bit u.
struct Packed {
    Format format;
    int64_t n, k;
    int64_t num_panels;
    int64_t panel_bytes;     // between panels
    Buffer<uint8_t> data;
    Buffer<float> factors;    // of the rows, for int4 and int5
    bool compact;             // bf16 stored as in compact.hpp, the panels of a tile together
    std::vector<Buffer<uint16_t>> plain;  // panels that cannot be compacted, in 16 bits; the others are empty

    // A panel is number `index` of `width` interleaved panels, the first of which is `first`.
    struct Place {
        int64_t first, width, index;
    };
    Place place(int64_t panel) const;
    Compact compact_at(int64_t panel) const;
};

// Packs row-major weights (n, k), whose rows are ldw apart. The caller destroys or deletes the result.
Packed* pack(const float* w, int64_t n, int64_t k, int64_t ldw, Format format);

// The same for stacked matrices: create zero weights, then pack each matrix from the first row of a
// panel on. Rows are packed once. Unless `plain`, bf16 is stored in 12 bits if the kernels can; the
// results are the same.
Packed* new_packed(int64_t n, int64_t k, Format format, bool plain = false);
void pack_rows(Pool& pool, Packed& packed, int64_t first, const float* w, int64_t n, int64_t ldw);

inline void destroy(Packed* packed) { delete packed; }

// y (m, n) = x (m, k) · Wᵀ, plus bias (n) if it is not null, plus the old y if `accumulate`.
// The rows of x are ldx apart (ldx < k: windows that overlap), those of y ldy; y is not x. Small
// products run on the calling thread alone.
void gemm(Pool& pool, const Packed& w, const float* x, int64_t m, int64_t ldx, float* y,
          int64_t ldy, const float* bias = nullptr, bool accumulate = false);

}  // namespace causerie
