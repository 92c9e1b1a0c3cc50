// The source-filter decoder: a frame of codes in, a frame of audio out, for numbered slots.
// Knows nothing about files, the language model, or scheduling.
//
// The maths is that of causerie/codec/source_filter.py, which is the reference. Activations are
// channels last, (slots, columns, channels). Slots share nothing but weights: the products are row by
// row, everything else is slot by slot, so a slot's audio depends only on its own codes, to the bit.
#include <algorithm>
#include <vector>

#include "api.hpp"
#include "codec.hpp"
#include "synthesizer.hpp"

namespace causerie::source_filter {
namespace {

// As in causerie.config.SourceFilterConfig and MimiConfig.
struct Sizes {
    int64_t latent_dim, num_codebooks, codebook_size, codebook_dim;
    int64_t front_dim, front_layers, front_kernel, dim, num_layers, kernel, expansion;
    int64_t steps, hops_per_step;
    float norm_eps;
    Constants constants;
};

// The streaming state of a slot.
struct Slot {
    Buffer<float> columns;  // of every block's input: the last ones, and room for those of a frame
    Buffer<Stream> stream;
};

// A block that sees only the past; its scale is multiplied into `narrow`.
struct Block {
    Block(Arrays& arrays, int64_t dim, int64_t expansion, int64_t kernel, int64_t columns,
          Format format, int64_t* state_size)
        : dim(dim), kernel(kernel), columns(columns), state(*state_size),
          weights(copy(arrays, kernel * dim)),
          bias(copy(arrays, dim)),
          norm(arrays, dim),
          widen(arrays, dim, expansion * dim, format, true),
          narrow(arrays, expansion * dim, dim, format, true) {
        *state_size += (kernel - 1 + columns) * dim;
    }

    int64_t dim, kernel, columns;
    int64_t state;                     // offset in the columns of a slot
    std::vector<float> weights, bias;  // of the depthwise convolution: (kernel, dim), (dim)
    Norm norm;
    Linear widen, narrow;
};

std::vector<Block> blocks(Arrays& arrays, int64_t count, int64_t dim, int64_t expansion,
                          int64_t kernel, int64_t columns, Format format, int64_t* state_size) {
    std::vector<Block> blocks;
    for (int64_t i = 0; i < count; ++i)
        blocks.emplace_back(arrays, dim, expansion, kernel, columns, format, state_size);
    return blocks;
}

class Decoder {
   public:
    Decoder(Pool& pool, const Sizes& sizes, Arrays arrays, int64_t num_slots, Format format);

    void reset(int64_t slot);
    void decode(const int64_t* slots, int64_t num_slots, const int32_t* codes,
                int64_t num_codebooks, float* pcm);

   private:
    Slot* open(int64_t slot);
    void run(const Block& block, float* x);
    void mix(const Block& block, Slot& slot, const float* x, float* y) const;

    Pool& pool_;
    const Sizes sizes_;
    int64_t state_size_ = 0;  // numbers in a slot's columns

    Codebooks codebooks_;
    Linear input_;
    std::vector<Block> front_;
    Linear upsample_;
    std::vector<Block> body_;
    Norm norm_;
    Linear output_;
    Synthesizer synthesize_;

    std::vector<Slot> slots_;
    std::vector<Slot*> batch_;
    // Activations; nothing is kept between frames.
    Buffer<float> latent_, x_, y_, normed_, hidden_, parameters_;
    std::vector<Synthesizer::Scratch> scratch_;  // one per thread
};

Decoder::Decoder(Pool& pool, const Sizes& sizes, Arrays arrays, int64_t num_slots, Format format)
    : pool_(pool),
      sizes_(sizes),
      codebooks_(arrays, sizes.num_codebooks, sizes.codebook_size, sizes.codebook_dim,
                 sizes.latent_dim),
      input_(arrays, sizes.latent_dim, sizes.front_dim, format, true),
      front_(blocks(arrays, sizes.front_layers, sizes.front_dim, sizes.expansion,
                    sizes.front_kernel, 1, format, &state_size_)),
      upsample_(arrays, sizes.front_dim, sizes.steps * sizes.dim, format, true),
      body_(blocks(arrays, sizes.num_layers, sizes.dim, sizes.expansion, sizes.kernel, sizes.steps,
                   format, &state_size_)),
      norm_(arrays, sizes.dim),
      output_(arrays, sizes.dim,
              sizes.hops_per_step *
                  (2 + sizes.constants.num_envelope + sizes.constants.num_aperiodicity),
              format, true),
      synthesize_(arrays, sizes.constants),
      slots_(num_slots),
      scratch_(pool.num_threads()) {
    arrays.end();
}

// The slot; its memory is allocated on first use, and zeroed.
Slot* Decoder::open(int64_t slot) {
    slots_[slot].columns.reserve(state_size_);
    slots_[slot].stream.reserve(1);
    return &slots_[slot];
}

void Decoder::reset(int64_t slot) {
    Slot& opened = *open(slot);
    std::fill_n(opened.columns.data(), state_size_, 0.0f);
    opened.stream[0] = Stream{};
}

void Decoder::decode(const int64_t* slots, int64_t num_slots, const int32_t* codes,
                     int64_t num_codebooks, float* pcm) {
    batch_.clear();
    for (int64_t b = 0; b < num_slots; ++b) batch_.push_back(open(slots[b]));
    const int64_t rows = num_slots * sizes_.steps, num_hops = sizes_.steps * sizes_.hops_per_step;
    float* latent = latent_.reserve(num_slots * sizes_.latent_dim);
    float* x = x_.reserve(num_slots * sizes_.front_dim);
    float* y = y_.reserve(rows * sizes_.dim);
    float* parameters = parameters_.reserve(num_slots * num_hops * synthesize_.num_parameters());
    codebooks_(pool_, codes, num_slots, num_codebooks, latent);
    input_(pool_, latent, num_slots, sizes_.latent_dim, x);
    for (const Block& block : front_) run(block, x);
    upsample_(pool_, x, num_slots, sizes_.front_dim, y);
    for (const Block& block : body_) run(block, y);
    parallel(pool_, num_slots, [&](int64_t b) {
        for (int64_t row = b * sizes_.steps; row < (b + 1) * sizes_.steps; ++row)
            norm_(y + row * sizes_.dim, sizes_.norm_eps, y + row * sizes_.dim);
    });
    output_(pool_, y, rows, sizes_.dim, parameters);
    parallel_workers(pool_, num_slots, [&](int64_t worker, int64_t b) {
        synthesize_(batch_[b]->stream[0], parameters + b * num_hops * synthesize_.num_parameters(),
                    num_hops, pcm + b * num_hops * kHop, scratch_[worker]);
    });
}

// Runs a block over x (B, columns, dim) in place.
void Decoder::run(const Block& block, float* x) {
    const int64_t num_slots = static_cast<int64_t>(batch_.size()), rows = num_slots * block.columns;
    const int64_t size = block.columns * block.dim, wide = block.widen.weight->n;
    float* normed = normed_.reserve(rows * block.dim);
    float* hidden = hidden_.reserve(rows * wide);
    parallel(pool_, num_slots,
             [&](int64_t b) { mix(block, *batch_[b], x + b * size, normed + b * size); });
    block.widen(pool_, normed, rows, block.dim, hidden);
    map_all(pool_, hidden, rows * wide, [](const Floats& v) { return gelu(v); });
    block.narrow(pool_, hidden, rows, wide, x, true);
}

// The depthwise convolution and the norm after it, for one slot: y (columns, dim) from x.
void Decoder::mix(const Block& block, Slot& slot, const float* x, float* y) const {
    const int64_t dim = block.dim, size = block.columns * dim, left = (block.kernel - 1) * dim;
    float* seen = slot.columns.data() + block.state;
    std::copy_n(x, size, seen + left);
    for (int64_t t = 0; t < block.columns; ++t, y += dim) {
        for (int64_t i = 0; i < dim; i += kLanes) {
            Floats total = load_some(block.bias.data() + i, dim - i, 0.0f);
            for (int64_t k = 0; k < block.kernel; ++k)
                total = fma(load_some(block.weights.data() + k * dim + i, dim - i, 0.0f),
                            load_some(seen + (t + k) * dim + i, dim - i, 0.0f), total);
            store_some(y + i, total, dim - i);
        }
        block.norm(y, sizes_.norm_eps, y);
    }
    std::copy(seen + size, seen + size + left, seen);
}

}  // namespace
}  // namespace causerie::source_filter

// -- for Python -----------------------------------------------------------------------------------

using namespace causerie;
using namespace causerie::source_filter;

// Returns null if the arrays do not fit the sizes. Centroids are not copied.
CAUSERIE_API Decoder* causerie_source_filter_new(Pool* pool, const Sizes* sizes,
                                                 const float* const* arrays,
                                                 const int64_t* array_sizes, int64_t num_arrays,
                                                 int64_t num_slots, int format) try {
    const Arrays given{arrays, array_sizes, num_arrays};
    return new Decoder(*pool, *sizes, given, num_slots, static_cast<Format>(format));
} catch (const std::invalid_argument&) {
    return nullptr;
}

CAUSERIE_API void causerie_source_filter_delete(Decoder* decoder) { delete decoder; }

// Starts a slot from silence.
CAUSERIE_API void causerie_source_filter_reset(Decoder* decoder, int64_t slot) {
    decoder->reset(slot);
}

// Decodes the next frame of B different slots: codes (B, K), all in range, → pcm (B, frame_size).
CAUSERIE_API void causerie_source_filter_decode(Decoder* decoder, const int64_t* slots,
                                                int64_t num_slots, const int32_t* codes,
                                                int64_t num_codebooks, float* pcm) {
    decoder->decode(slots, num_slots, codes, num_codebooks, pcm);
}
