#include "gemm.hpp"

#include <algorithm>

#include "inputs.hpp"
#include "tile.hpp"

namespace causerie {
namespace {

constexpr int64_t kBlockWords = 128;  // of k: four such panels are 32 KiB and stay in L1
constexpr int64_t kBlockRows = 120;   // their sums stay in L2
constexpr int64_t kFewRows = 48;      // up to which each tile of rows expands compact weights itself
// Chunks per thread. Each begins with weights that were not prefetched: 16 cost 10 % of a frame.
constexpr int64_t kChunks = 4;
constexpr int64_t kAlone = 1 << 16;   // multiplications up to which one thread is faster

// 32-bit words of k inputs.
int64_t num_words(Format format, int64_t k) {
    switch (format) {
        case Format::f32: return k;
        case Format::bf16: return (k + 1) / 2;
        default: return (k + kGroup - 1) / kGroup * kQuads;
    }
}

// -- products ---------------------------------------------------------------------------------

struct Result {
    float* y;
    int64_t ldy;
    const float* bias;
    bool accumulate;
};

// Sixteen outputs of a row at y, of which `count` exist. The sums by reference: a copy stalls.
void finish(const Floats& sums, const Result& to, int64_t row, int64_t column, int64_t count) {
    float* y = to.y + row * to.ldy + column;
    Floats total = sums;
    if (count == kLanes) {
        if (to.bias) total = total + load(to.bias + column);
        if (to.accumulate) total = total + load(y);
        store(y, total);
        return;
    }
    float values[kLanes];
    store(values, total);
    for (int64_t i = 0; i < count; ++i) {
        if (to.bias) values[i] += to.bias[column + i];
        if (to.accumulate) values[i] += y[i];
        y[i] = values[i];
    }
}

#if defined(__AVX2__)
// Adds the products of a block of rows and PANELS panels of compact weights to its sums. Few rows
// expand weights in registers; many rows, and uncompacted panels, use a buffer.
template <int PANELS>
void block_compact(const Packed& w, const Inputs& x, int64_t panel, int64_t num_rows, int rows,
                   Floats* sums) {
    bool in_pieces = num_rows > kFewRows;
    for (int p = 0; p < PANELS; ++p) in_pieces |= w.plain[panel + p].data() != nullptr;
    const int64_t words = w.k / 2, step = in_pieces ? kBlockWords : words;
    alignas(64) uint8_t expanded[PANELS * kBlockWords * 64];
    for (int64_t begin = 0; begin < words; begin += step) {
        const int64_t end = std::min(begin + step, words);
        for (int p = 0; in_pieces && p < PANELS; ++p) {
            uint8_t* out = expanded + p * kBlockWords * 64;
            if (const uint16_t* plain = w.plain[panel + p].data())
                std::memcpy(out, plain + 32 * begin, (end - begin) * 64);
            else
                expand(w.compact_at(panel + p), begin, end, out);
        }
        for (int64_t r = 0; r < num_rows; r += rows) {
            const int count = static_cast<int>(std::min<int64_t>(rows, num_rows - r));
            Inputs from = x.from(r);
            from.words += begin;
            Floats* to = sums + r * PANELS;
            if (in_pieces)
                multiply_of<PANELS>(w.format, count)({expanded, kBlockWords * 64}, from,
                                                     0, end - begin, to);
            else
                multiply_compact_of<PANELS>(count)(w, panel, from, to);
        }
    }
}
#else
template <int PANELS>
void block_compact(const Packed&, const Inputs&, int64_t, int64_t, int, Floats*) {}
#endif

// A block of rows times PANELS panels, over all of k.
template <int PANELS>
void block(const Packed& w, const Inputs& x, int64_t panel, int64_t row, int64_t num_rows,
           const Result& to) {
    Floats sums[kBlockRows * PANELS];
    for (int64_t i = 0; i < num_rows * PANELS; ++i) sums[i] = Floats{};
    const float* factors = is_short(w.format) ? w.factors.data() + panel * kPanel : nullptr;
    for (int p = 0; factors && p < PANELS; ++p) __builtin_prefetch(factors + p * kPanel);
    const Panels panels{w.data.data() + panel * w.panel_bytes, w.panel_bytes};
    const int64_t words = num_words(w.format, w.k);
    const int rows = tile_rows(num_rows);
    const int64_t step = num_rows > rows ? kBlockWords : words;
    if (w.compact) block_compact<PANELS>(w, x.from(row), panel, num_rows, rows, sums);
    for (int64_t begin = w.compact ? words : 0; begin < words; begin += step)
        for (int64_t r = 0; r < num_rows; r += rows) {
            const int count = static_cast<int>(std::min<int64_t>(rows, num_rows - r));
            multiply_of<PANELS>(w.format, count)(panels, x.from(row + r), begin,
                                                 std::min(begin + step, words), sums + r * PANELS);
        }
    for (int64_t r = 0; r < num_rows; ++r)
        for (int p = 0; p < PANELS; ++p) {
            const int64_t column = (panel + p) * kPanel;
            if (factors) sums[r * PANELS + p] = sums[r * PANELS + p] * load(factors + p * kPanel);
            finish(sums[r * PANELS + p], to, row + r, column,
                   std::min<int64_t>(kLanes, w.n - column));
        }
}

// All panels of one group of up to kTilePanels.
void panel_group(const Packed& w, const Inputs& x, int64_t group, int64_t row, int64_t num_rows,
                 const Result& to) {
    const int64_t first = group * kTilePanels;
    const int64_t last = std::min<int64_t>(first + kTilePanels, w.num_panels);
    if (last - first == kTilePanels) {
        block<kTilePanels>(w, x, first, row, num_rows, to);
    } else {
        for (int64_t panel = first; panel < last; ++panel)
            block<1>(w, x, panel, row, num_rows, to);
    }
}

}  // namespace

void gemm(Pool& pool, const Packed& w, const float* x, int64_t m, int64_t ldx, float* y,
          int64_t ldy, const float* bias, bool accumulate) {
    if (m == 0) return;
    const Inputs inputs = prepare(pool, w.format, x, m, w.k, ldx);
    const Result to{y, ldy, bias, accumulate};
    const int64_t row_blocks = (m + kBlockRows - 1) / kBlockRows;
    const int64_t block_rows = (m + row_blocks - 1) / row_blocks;
    const int64_t groups = (w.num_panels + kTilePanels - 1) / kTilePanels;
    const int64_t tasks = groups * row_blocks;
    const bool alone = m * w.n * w.k < kAlone;
    const int64_t wanted = alone ? 1 : std::min<int64_t>(tasks, kChunks * pool.num_threads());
    const int64_t per_chunk = (tasks + wanted - 1) / wanted;
    parallel(pool, (tasks + per_chunk - 1) / per_chunk, [&](int64_t chunk) {
        const int64_t end = std::min(tasks, (chunk + 1) * per_chunk);
        for (int64_t task = chunk * per_chunk; task < end; ++task) {
            const int64_t row = task / groups * block_rows;
            panel_group(w, inputs, task % groups, row, std::min(block_rows, m - row), to);
        }
    });
}

}  // namespace causerie
