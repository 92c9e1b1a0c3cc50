#include "gemm.hpp"

#include <algorithm>
#include <cmath>

#include "inputs.hpp"
#include "tile.hpp"

namespace causerie {
namespace {

constexpr int64_t kBlockWords = 128;  // of k: four panels of them are 32 KiB, and stay in L1
constexpr int64_t kBlockRows = 120;   // whose sums stay in L2 meanwhile
constexpr int64_t kAlone = 1 << 16;   // multiplications that are not worth another thread

int64_t word_bytes(Format format) { return format == Format::int4 ? 32 : 64; }

// -- packing ----------------------------------------------------------------------------------

float at(const float* w, int64_t row, int64_t column, const Packed& p, int64_t ldw) {
    return row < p.n && column < p.k ? w[row * ldw + column] : 0.0f;
}

void pack_f32(const float* w, int64_t ldw, Packed& p) {
    float* out = reinterpret_cast<float*>(p.data.data());
    for (int64_t panel = 0; panel < p.num_panels; ++panel)
        for (int64_t k = 0; k < p.k; ++k)
            for (int64_t i = 0; i < kPanel; ++i) *out++ = at(w, panel * kPanel + i, k, p, ldw);
}

void pack_bf16(const float* w, int64_t ldw, Packed& p) {
    uint16_t* out = reinterpret_cast<uint16_t*>(p.data.data());
    for (int64_t panel = 0; panel < p.num_panels; ++panel)
        for (int64_t k = 0; k < p.k; k += 2)
            for (int64_t i = 0; i < kPanel; ++i) {
                *out++ = to_bf16(at(w, panel * kPanel + i, k, p, ldw));
                *out++ = to_bf16(at(w, panel * kPanel + i, k + 1, p, ldw));
            }
}

// A group of weights of one row as whole numbers of ±limit; their scale.
uint16_t quantize_group(const float* group, int limit, int* out) {
    float top = 0;
    for (int64_t j = 0; j < kGroup; ++j)
        if (top == top && !(std::fabs(group[j]) <= top)) top = std::fabs(group[j]);  // NaN stays, in the scale
    const uint16_t scale = to_bf16(top / static_cast<float>(limit));
    const float rounded = from_bf16(scale);  // what the weights will be multiplied by
    for (int64_t j = 0; j < kGroup; ++j) {
        const float value = rounded > 0 ? std::nearbyint(group[j] / rounded) : 0.0f;
        out[j] = static_cast<int>(std::min<float>(limit, std::max<float>(-limit, value)));
    }
    return scale;
}

void pack_integers(const float* w, int64_t ldw, Packed& p) {
    const bool nibbles = p.format == Format::int4;
    const int64_t groups = (p.k + kGroup - 1) / kGroup;
    for (int64_t panel = 0; panel < p.num_panels; ++panel) {
        uint8_t* data = p.data.data() + panel * p.panel_bytes;
        for (int64_t g = 0; g < groups; ++g)
            for (int64_t i = 0; i < kPanel; ++i) {
                float group[kGroup];
                int whole[kGroup];
                for (int64_t j = 0; j < kGroup; ++j)
                    group[j] = at(w, panel * kPanel + i, g * kGroup + j, p, ldw);
                p.scales[(panel * groups + g) * kPanel + i] =
                    quantize_group(group, nibbles ? 7 : 127, whole);
                for (int64_t j = 0; j < kGroup; ++j) {
                    const int64_t k = g * kGroup + j;
                    if (nibbles)
                        data[(k / 8 * kPanel + i) * 4 + k % 4] |=
                            static_cast<uint8_t>((whole[j] + 8) << (k / 4 % 2 * 4));
                    else
                        data[(k / 4 * kPanel + i) * 4 + k % 4] =
                            static_cast<uint8_t>(whole[j] + 128);
                }
            }
    }
}

// -- products ---------------------------------------------------------------------------------

struct Result {
    float* y;
    int64_t ldy;
    const float* bias;
    bool accumulate;
};

// Sixteen outputs of a row at y, of which `count` exist.
void finish(Floats total, const Result& to, int64_t row, int64_t column, int64_t count) {
    float* y = to.y + row * to.ldy + column;
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

// A block of rows times PANELS panels: all of k.
template <int PANELS>
void block(const Packed& w, const Inputs& x, int64_t panel, int64_t row, int64_t num_rows,
           const Result& to) {
    Floats sums[kBlockRows * PANELS];
    for (int64_t i = 0; i < num_rows * PANELS; ++i) sums[i] = Floats{};
    const int64_t groups = (w.k + kGroup - 1) / kGroup;
    const Panels panels{w.data.data() + panel * w.panel_bytes, w.panel_bytes,
                        w.scales.data() ? w.scales.data() + panel * groups * kPanel : nullptr,
                        groups * kPanel};
    const int64_t words = w.panel_bytes / word_bytes(w.format);
    const int rows = tile_rows(num_rows);
    const int64_t step = num_rows > rows ? kBlockWords : words;
    for (int64_t begin = 0; begin < words; begin += step)
        for (int64_t r = 0; r < num_rows; r += rows) {
            const int count = static_cast<int>(std::min<int64_t>(rows, num_rows - r));
            multiply_of<PANELS>(w.format, count)(panels, x.from(row + r), begin,
                                                 std::min(begin + step, words), sums + r * PANELS);
        }
    for (int64_t r = 0; r < num_rows; ++r)
        for (int p = 0; p < PANELS; ++p) {
            const int64_t column = (panel + p) * kPanel;
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

Packed* pack(const float* w, int64_t n, int64_t k, int64_t ldw, Format format) {
    auto* p = new Packed{format, n, k, (n + kPanel - 1) / kPanel, 0, {}, {}};
    const int64_t groups = (k + kGroup - 1) / kGroup;
    switch (format) {
        case Format::f32: p->panel_bytes = k * kPanel * 4; break;
        case Format::bf16: p->panel_bytes = (k + 1) / 2 * kPanel * 4; break;
        case Format::int8: p->panel_bytes = groups * kGroup * kPanel; break;
        case Format::int4: p->panel_bytes = groups * kGroup * kPanel / 2; break;
    }
    p->data.reserve(p->num_panels * p->panel_bytes);
    if (format == Format::f32) {
        pack_f32(w, ldw, *p);
    } else if (format == Format::bf16) {
        pack_bf16(w, ldw, *p);
    } else {
        p->scales.reserve(p->num_panels * groups * kPanel);
        pack_integers(w, ldw, *p);
    }
    return p;
}

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
    const int64_t wanted = alone ? 1 : std::min<int64_t>(tasks, 16 * pool.num_threads());
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
