// Products with weights that were packed once: y = x · Wᵀ. Knows nothing of models.
//
// Every element of y is summed over k in one fixed order, whatever M, the tile it falls into, or the
// thread that computes it: row i of y depends on row i of x alone, to the bit, in every format.
#pragma once

#include <cstdint>
#include <vector>

#include "compact.hpp"
#include "memory.hpp"
#include "pool.hpp"

namespace causerie {

// How weights are stored. In bf16 the inputs are rounded to bf16 too. In int8 and int4 each group of
// 64 weights of a row has a scale in bf16 (in int4 the one of a few that errs least), and the inputs
// are quantised to int8 as they come, each group of 64 with a scale of its own. Sums are in fp32 (of integers within a group: exact).
enum class Format : int { f32 = 0, bf16 = 1, int8 = 2, int4 = 3 };

constexpr int64_t kPanel = 16;  // rows of W to a panel, one a lane
constexpr int64_t kGroup = 64;  // weights to a scale

// Weights (N, K) in panels of 16 rows, filled up with zeros:
// f32 [N/16][K][16], bf16 [N/16][K/2][16][2] (or as in compact.hpp). Of int8 and int4 the panels that a
// tile of tile.hpp reads together, P of them or one, lie in turns, so that memory is read from the
// first byte to the last: [N/16/P][K/64] of scales [P][16] in bf16, and then of int8 [16][P][16][4]
// holding w + 128, of int4 [8][P][16][4] holding w + 8: k = 8u … 8u+3 in the low nibbles.
struct Packed {
    Format format;
    int64_t n, k;
    int64_t num_panels;
    int64_t panel_bytes;     // from a panel to the next
    Buffer<uint8_t> data;
    bool compact;             // of bf16, kept as in compact.hpp, the panels of a tile together
    std::vector<Buffer<uint16_t>> plain;  // panels that cannot be kept so, as they were; else empty

    // A panel is number `index` of `width` that lie in turns, the first of which is `first`.
    struct Place {
        int64_t first, width, index;
    };
    Place place(int64_t panel) const;
    Compact compact_at(int64_t panel) const;
};

// Pack row-major weights (n, k), whose rows are ldw apart. To be given to `destroy`, or deleted.
Packed* pack(const float* w, int64_t n, int64_t k, int64_t ldw, Format format);

// The same for matrices on top of each other: weights of zero, then some rows of them by others, from
// a row on that begins a panel. Rows are packed once. Unless `plain`, bf16 is kept in 12 bits where the
// kernels can, which changes nothing but their number.
Packed* new_packed(int64_t n, int64_t k, Format format, bool plain = false);
void pack_rows(Pool& pool, Packed& packed, int64_t first, const float* w, int64_t n, int64_t ldw);

inline void destroy(Packed* packed) { delete packed; }

// y (m, n) = x (m, k) · Wᵀ, plus bias (n) if there is one, plus what y held if `accumulate`.
// The rows of x are ldx apart (ldx < k: windows that overlap), those of y ldy; y is not x. Small
// products run on the calling thread alone.
void gemm(Pool& pool, const Packed& w, const float* x, int64_t m, int64_t ldx, float* y,
          int64_t ldy, const float* bias = nullptr, bool accumulate = false);

}  // namespace causerie
