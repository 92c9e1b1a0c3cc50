// A Llama-style transformer over embedded rows: the backbone or the depth decoder. Knows nothing about
// codes, embedding tables or heads.
//
// Activations are fp32 in rows of round_up(width, 16) numbers, padded with zeros.
#pragma once

#include <vector>

#include "attention.hpp"

namespace causerie {

// The weights of a layer. Stacked matrices begin at multiples of 16 outputs.
struct Layer {
    const Packed* qkv;      // queries, keys and values
    const Packed* o;
    const Packed* gate_up;  // gate and up
    const Packed* down;
    Buffer<float> attention_norm, ffn_norm;
};

class Llama {
   public:
    Llama(const LlamaSizes& sizes, const Rotation& rotation) : sizes_(sizes), rotation_(rotation) {}

    const LlamaSizes& sizes() const { return sizes_; }
    int64_t width() const { return round_up(sizes_.dim, kLanes); }
    void add_layer(Layer&& layer) { layers_.push_back(std::move(layer)); }
    void set_norm(const float* weight);

    // Reads embedded rows x (rows of all spans, width), which are overwritten. Writes the hidden state
    // of the last row of each span to `hidden` (spans, width); nullptr: only keys and values matter.
    void read(Pool& pool, float* x, const std::vector<Span>& spans, float* hidden);

   private:
    void attention(Pool& pool, const Layer& layer, int64_t index, float* x, int64_t num_rows,
                   const std::vector<Span>& spans, bool last_only, bool keys_only);
    void feed_forward(Pool& pool, const Layer& layer, float* x, int64_t num_rows);

    LlamaSizes sizes_;
    Rotation rotation_;
    std::vector<Layer> layers_;
    Buffer<float> norm_;
    Buffer<float> normed_, qkv_, attended_, gate_up_, activated_;
};

}  // namespace causerie
