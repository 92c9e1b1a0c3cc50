// The decoder of the Mimi codec: a frame of codes in, a frame of audio out, for numbered slots.
// Knows nothing about files, the language model, or scheduling.
//
// The maths is that of causerie/codec, which is the reference. What differs is the layout:
// activations are channels last, (slots, columns, channels), so that
//   - a causal convolution is a product of windows that overlap, `kernel` columns each, with
//     weights (out, kernel · in). Its state is the last kernel - 1 columns of its input;
//   - a transposed convolution of kernel 2 · stride is the same, with windows of two columns and
//     stride · out outputs, which are `stride` columns of the result side by side.
// Slots share nothing but weights: the products are row by row, everything else is slot by slot, so
// a slot's audio depends only on its own codes, to the bit.
#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

#include "api.hpp"
#include "codec.hpp"
#include "mimi_weights.hpp"
#include "mimi_window.hpp"

namespace causerie::mimi {
namespace {

constexpr int64_t kSteps = 2;     // of the transformer per frame
constexpr int64_t kMany = 16;     // columns from which on a slot is computed alone

// The streaming state of a slot.
struct Slot {
    int64_t position = 0;   // of the next step of the transformer
    Buffer<float> columns;  // the last columns of every convolution's input
    Buffer<float> window;   // keys and values of the transformer
};

// Several different slots.
struct Batch {
    Slot* const* slots;
    int64_t size;

    Slot& operator[](int64_t b) const { return *slots[b]; }
    Batch alone(int64_t b) const { return {slots + b, 1}; }
};

// Activations of the convolutions; nothing is kept between frames.
struct Scratch {
    Buffer<float> padded, windows, hidden;
    std::vector<Buffer<float>> outputs;  // of the first convolution and of each stage
};

// Rotates features j and j + half; to(j) is the place of feature j.
template <class To>
void rotate(const float* x, const float* cos, const float* sin, int64_t half, To&& to) {
    for (int64_t j = 0; j < half; ++j) {
        to(j) = x[j] * cos[j] - x[j + half] * sin[j];
        to(j + half) = x[j + half] * cos[j] + x[j] * sin[j];
    }
}

// -- the decoder ----------------------------------------------------------------------------------

class Decoder {
   public:
    Decoder(Pool& pool, const Sizes& sizes, Arrays arrays, int64_t num_slots, Format format);

    void reset(int64_t slot);
    void decode(const int64_t* slots, int64_t num_slots, const int32_t* codes,
                int64_t num_codebooks, float* pcm);

   private:
    Slot* open(int64_t slot);
    void upsample(const Batch& batch);
    void transform(const Batch& batch);
    void find_rotation(const Batch& batch);
    void attend(const Batch& batch, int64_t layer);
    void attend(Slot& slot, int64_t layer, int64_t head, const float* rotation, const float* qkv,
                float* scratch, float* out);
    void speak(const Batch& batch, float* pcm);
    void speak(const Batch& batch, size_t stage, const float* x, int64_t columns, float* pcm,
               Scratch& scratch);
    void speak_apart(const Batch& batch, size_t stage, const float* x, int64_t columns, float* pcm);
    void run(const Batch& batch, const Stage& stage, const float* x, int64_t columns, float* y,
             Scratch& scratch);
    void convolve(const Batch& batch, const Conv& conv, const float* x, int64_t columns,
                  bool with_elu, float* y, Scratch& scratch);
    float* prepend(const Batch& batch, const Conv& conv, const float* x, int64_t columns,
                   bool with_elu, Scratch& scratch);
    Window window(Slot& slot, int64_t layer, int64_t head) const;

    int64_t rows(const Batch& batch) const { return batch.size * kSteps; }

    Pool& pool_;
    const Sizes sizes_;
    const int64_t head_dim_, frame_size_;
    const Window shape_;  // shape of every head; without memory
    int64_t state_size_;  // numbers in a slot's columns

    Codebooks codebooks_;
    std::vector<float> upsample_;     // (4, D)
    std::vector<float> frequencies_;  // radians per step of each pair of features of a head
    std::vector<Layer> layers_;
    Conv first_;
    std::vector<Stage> stages_;
    Conv last_;

    std::vector<Slot> slots_;
    std::vector<Slot*> batch_;
    // Activations of the transformer and what is before it.
    Buffer<float> latent_, x_, normed_, qkv_, rotation_, scores_, heads_, ffn_;
    std::vector<Scratch> scratch_;  // one per thread; the first is also for whole batches
};

Decoder::Decoder(Pool& pool, const Sizes& sizes, Arrays arrays, int64_t num_slots, Format format)
    : pool_(pool),
      sizes_(sizes),
      head_dim_(sizes.dim / sizes.num_heads),
      frame_size_(std::accumulate(sizes.ratios, sizes.ratios + sizes.num_ratios, kSteps,
                                  std::multiplies<int64_t>())),
      shape_{head_dim_, sizes.context, nullptr},
      state_size_(sizes.dim),  // of the upsampling
      codebooks_(arrays, sizes.num_codebooks, sizes.codebook_size, sizes.codebook_dim, sizes.dim),
      upsample_(copy(arrays, 2 * kSteps * sizes.dim)),
      frequencies_(copy(arrays, head_dim_ / 2)),
      layers_(transformer(arrays, sizes, format)),
      first_(arrays, sizes.dim, sizes.num_filters << sizes.num_ratios, sizes.kernel, format,
             &state_size_),
      stages_(stages(arrays, sizes, format, &state_size_)),
      last_(arrays, sizes.num_filters, 1, sizes.last_kernel, format, &state_size_),
      slots_(num_slots),
      scratch_(pool.num_threads()) {
    for (Scratch& scratch : scratch_) scratch.outputs.resize(1 + stages_.size());
    arrays.end();
}

// The slot; its memory is allocated on first use.
Slot* Decoder::open(int64_t slot) {
    Slot& opened = slots_[slot];
    opened.columns.reserve(state_size_);
    opened.window.reserve(sizes_.num_layers * sizes_.num_heads * shape_.size());
    return &opened;
}

Window Decoder::window(Slot& slot, int64_t layer, int64_t head) const {
    Window window = shape_;
    window.memory = slot.window.data() + (layer * sizes_.num_heads + head) * shape_.size();
    return window;
}

void Decoder::reset(int64_t slot) {
    Slot& opened = *open(slot);
    opened.position = 0;  // hides the old content of the window
    std::fill_n(opened.columns.data(), state_size_, 0.0f);
}

void Decoder::decode(const int64_t* slots, int64_t num_slots, const int32_t* codes,
                     int64_t num_codebooks, float* pcm) {
    batch_.clear();
    for (int64_t b = 0; b < num_slots; ++b) batch_.push_back(open(slots[b]));
    const Batch batch{batch_.data(), num_slots};
    codebooks_(pool_, codes, num_slots, num_codebooks, latent_.reserve(num_slots * sizes_.dim));
    upsample(batch);
    transform(batch);
    speak(batch, pcm);
}

// Computes x_ (B, 2, D) from latent_ (B, D): a depthwise transposed convolution of stride 2.
void Decoder::upsample(const Batch& batch) {
    const int64_t dim = sizes_.dim;
    float* x = x_.reserve(rows(batch) * dim);
    for (int64_t b = 0; b < batch.size; ++b) {
        const float* latent = latent_.data() + b * dim;
        float* before = batch[b].columns.data();
        for (int64_t step = 0; step < kSteps; ++step, x += dim) {
            const float *now = upsample_.data() + step * dim, *then = now + kSteps * dim;
            for (int64_t i = 0; i < dim; ++i) x[i] = latent[i] * now[i] + before[i] * then[i];
        }
        std::copy_n(latent, dim, before);
    }
}

// Runs the transformer over x_ (B, 2, D) in place.
void Decoder::transform(const Batch& batch) {
    const int64_t dim = sizes_.dim, m = rows(batch);
    float* x = x_.data();
    float* normed = normed_.reserve(m * dim);
    float* qkv = qkv_.reserve(m * 3 * dim);
    float* heads = heads_.reserve(m * dim);
    float* ffn = ffn_.reserve(m * sizes_.ffn_dim);
    const auto normalize_all = [&](const Norm& norm) {
        for (int64_t row = 0; row < m; ++row)
            norm(x + row * dim, sizes_.norm_eps, normed + row * dim);
    };
    find_rotation(batch);
    for (int64_t i = 0; i < sizes_.num_layers; ++i) {
        const Layer& layer = layers_[i];
        normalize_all(layer.attention_norm);
        layer.qkv(pool_, normed, m, dim, qkv);
        attend(batch, i);
        layer.out(pool_, heads, m, dim, x, true);
        normalize_all(layer.ffn_norm);
        layer.ffn_in(pool_, normed, m, dim, ffn);
        map_all(pool_, ffn, m * sizes_.ffn_dim, [](const Floats& v) { return gelu(v); });
        layer.ffn_out(pool_, ffn, m, sizes_.ffn_dim, x, true);
    }
    for (int64_t b = 0; b < batch.size; ++b) batch[b].position += kSteps;
}

// rotation_ (B, 2, E): the cosines of each step's angles, then the sines.
void Decoder::find_rotation(const Batch& batch) {
    const int64_t half = head_dim_ / 2;
    float* out = rotation_.reserve(rows(batch) * head_dim_);
    for (int64_t row = 0; row < rows(batch); ++row, out += head_dim_) {
        const float position = static_cast<float>(batch[row / kSteps].position + row % kSteps);
        for (int64_t j = 0; j < half; ++j) {
            out[j] = std::cos(position * frequencies_[j]);
            out[j + half] = std::sin(position * frequencies_[j]);
        }
    }
}

// Computes heads_ (B, 2, D) from qkv_ (B, 2, 3 D).
void Decoder::attend(const Batch& batch, int64_t layer) {
    const int64_t num_heads = sizes_.num_heads, num_all = batch.size * num_heads;
    const int64_t scratch_size = round_up(head_dim_, kLanes) + shape_.ring();
    float* scratch = scores_.reserve(num_all * scratch_size);
    parallel(pool_, num_all, [&](int64_t i) {
        const int64_t b = i / num_heads, head = i % num_heads, row = b * kSteps;
        attend(batch[b], layer, head, rotation_.data() + row * head_dim_,
               qkv_.data() + row * 3 * sizes_.dim, scratch + i * scratch_size,
               heads_.data() + row * sizes_.dim);
    });
}

// One head of one slot, step by step: the second step overwrites what the first one sees.
void Decoder::attend(Slot& slot, int64_t layer, int64_t head, const float* rotation,
                     const float* qkv, float* scratch, float* out) {
    const int64_t dim = sizes_.dim, half = head_dim_ / 2, offset = head * head_dim_;
    const Window past = window(slot, layer, head);
    float *query = scratch, *scores = scratch + round_up(head_dim_, kLanes);
    const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim_));
    for (int64_t step = 0; step < kSteps; ++step) {
        const int64_t position = slot.position + step, place = position % sizes_.context;
        const int64_t seen = std::min(position + 1, sizes_.context);
        const int64_t num_blocks = (seen + kBlock - 1) / kBlock;
        const float *q = qkv + step * 3 * dim + offset, *k = q + dim, *v = k + dim;
        const float *cos = rotation + step * head_dim_, *sin = cos + half;
        rotate(q, cos, sin, half, [&](int64_t j) -> float& { return query[j]; });
        rotate(k, cos, sin, half, [&](int64_t j) -> float& { return past.keys(j)[place]; });
        for (int64_t j = 0; j < head_dim_; ++j) query[j] *= scale;
        std::copy_n(v, head_dim_, past.values(place));
        score(past, query, num_blocks, scores);
        const float total = soften(scores, seen, num_blocks);
        mix(past, scores, seen, total, out + step * dim + offset);
    }
}

// Computes pcm (B, frame_size) from x_ (B, 2, D).
void Decoder::speak(const Batch& batch, float* pcm) {
    Scratch& scratch = scratch_[0];
    float* y = scratch.outputs[0].reserve(rows(batch) * first_.out);
    convolve(batch, first_, x_.data(), kSteps, false, y, scratch);
    speak(batch, 0, y, kSteps, pcm, scratch);
}

// Computes pcm (B, frame_size) from x (B, columns, channels), starting at a stage.
void Decoder::speak(const Batch& batch, size_t stage, const float* x, int64_t columns, float* pcm,
                    Scratch& scratch) {
    for (; stage < stages_.size(); ++stage) {
        if (batch.size > 1 && columns >= kMany) return speak_apart(batch, stage, x, columns, pcm);
        const int64_t wide = stages_[stage].ratio * columns;
        float* y = scratch.outputs[1 + stage].reserve(batch.size * wide * stages_[stage].channels);
        run(batch, stages_[stage], x, columns, y, scratch);
        x = y;
        columns = wide;
    }
    convolve(batch, last_, x, columns, true, pcm, scratch);
}

// The same with one thread per slot: the columns of a slot fill the cache.
void Decoder::speak_apart(const Batch& batch, size_t stage, const float* x, int64_t columns,
                          float* pcm) {
    const int64_t size = columns * stages_[stage].up.in;
    parallel_workers(pool_, batch.size, [&](int64_t worker, int64_t b) {
        speak(batch.alone(b), stage, x + b * size, columns, pcm + b * frame_size_, scratch_[worker]);
    });
}

// Computes a stage's output y (B, ratio · columns, channels) from x (B, columns, 2 · channels).
void Decoder::run(const Batch& batch, const Stage& stage, const float* x, int64_t columns,
                  float* y, Scratch& scratch) {
    const int64_t wide = stage.ratio * columns, m = batch.size * wide;
    float* hidden = scratch.hidden.reserve(m * stage.hidden);
    convolve(batch, stage.up, x, columns, true, y, scratch);
    convolve(batch, stage.narrow, y, wide, true, hidden, scratch);
    map_all(pool_, hidden, m * stage.hidden, [](const Floats& v) { return elu(v); });
    stage.widen(pool_, hidden, m, stage.hidden, y, true);
}

// Computes y (B, columns, out) from x (B, columns, in).
void Decoder::convolve(const Batch& batch, const Conv& conv, const float* x, int64_t columns,
                       bool with_elu, float* y, Scratch& scratch) {
    const float* padded = prepend(batch, conv, x, columns, with_elu, scratch);
    const int64_t size = (conv.left() + columns) * conv.in, length = conv.kernel * conv.in;
    if (batch.size == 1 || columns >= kMany) {
        for (int64_t b = 0; b < batch.size; ++b)
            conv.map(pool_, padded + b * size, columns, conv.in, y + b * columns * conv.out);
        return;
    }
    // The windows of all slots in one product, so that the weights are read once.
    float* windows = scratch.windows.reserve(batch.size * columns * length);
    for (int64_t b = 0; b < batch.size; ++b)
        for (int64_t t = 0; t < columns; ++t)
            std::copy_n(padded + b * size + t * conv.in, length,
                        windows + (b * columns + t) * length);
    conv.map(pool_, windows, batch.size * columns, length, y);
}

// Writes (B, left + columns, in): the slots' stored columns, then x, through ELU if requested. Stores
// the last columns.
float* Decoder::prepend(const Batch& batch, const Conv& conv, const float* x, int64_t columns,
                        bool with_elu, Scratch& scratch) {
    const int64_t left = conv.left() * conv.in, size = columns * conv.in;
    float* padded = scratch.padded.reserve(batch.size * (left + size));
    const int64_t num_chunks = (size + kChunk - 1) / kChunk;
    parallel(pool_, batch.size * num_chunks, [&](int64_t i) {
        const int64_t b = i / num_chunks, begin = i % num_chunks * kChunk;
        const int64_t count = std::min(kChunk, size - begin);
        const float* from = x + b * size + begin;
        float* to = padded + b * (left + size) + left + begin;
        if (with_elu)
            map(from, to, count, [](const Floats& v) { return elu(v); });
        else
            std::copy_n(from, count, to);
    });
    for (int64_t b = 0; b < batch.size; ++b) {
        float* kept = batch[b].columns.data() + conv.state;
        float* start = padded + b * (left + size);
        std::copy_n(kept, left, start);
        std::copy_n(start + size, left, kept);
    }
    return padded;
}

}  // namespace
}  // namespace causerie::mimi

// -- for Python -----------------------------------------------------------------------------------

using namespace causerie;
using namespace causerie::mimi;

// Returns null if the arrays do not fit the sizes. Centroids are not copied.
CAUSERIE_API Decoder* causerie_mimi_new(Pool* pool, const Sizes* sizes, const float* const* arrays,
                                        const int64_t* array_sizes, int64_t num_arrays,
                                        int64_t num_slots, int format) try {
    const Arrays given{arrays, array_sizes, num_arrays};
    return new Decoder(*pool, *sizes, given, num_slots, static_cast<Format>(format));
} catch (const std::invalid_argument&) {
    return nullptr;
}

CAUSERIE_API void causerie_mimi_delete(Decoder* decoder) { delete decoder; }

// Starts a slot from silence.
CAUSERIE_API void causerie_mimi_reset(Decoder* decoder, int64_t slot) { decoder->reset(slot); }

// Decodes the next frame of B different slots: codes (B, K), all in range, → pcm (B, frame_size).
CAUSERIE_API void causerie_mimi_decode(Decoder* decoder, const int64_t* slots, int64_t num_slots,
                                       const int32_t* codes, int64_t num_codebooks, float* pcm) {
    decoder->decode(slots, num_slots, codes, num_codebooks, pcm);
}
