// The weights of the Mimi codec's decoder, from arrays in a fixed order. Knows nothing about slots.
#pragma once

#include <vector>

#include "codec.hpp"

namespace causerie::mimi {

// As in causerie.config.MimiConfig.
struct Sizes {
    int64_t num_filters, dim, kernel, residual_kernel, last_kernel, compress;
    int64_t num_layers, num_heads, ffn_dim, context;
    int64_t num_codebooks, codebook_size, codebook_dim;
    int64_t num_ratios;
    const int64_t* ratios;
    float norm_eps;
};

// A convolution over windows of `kernel` columns, whose left columns are in the state of a slot.
struct Conv {
    Conv(Arrays& arrays, int64_t in, int64_t out, int64_t kernel, Format format,
         int64_t* state_size)
        : map(arrays, kernel * in, out, format, true),
          in(in), out(out), kernel(kernel), state(*state_size) {
        *state_size += left() * in;
    }

    Linear map;
    int64_t in, out, kernel;
    int64_t state;  // offset of the left columns in the state of a slot

    int64_t left() const { return kernel - 1; }
};

// Layer scales are multiplied into the second map of each pair.
struct Layer {
    Layer(Arrays& arrays, const Sizes& sizes, Format format)
        : attention_norm(arrays, sizes.dim),
          qkv(arrays, sizes.dim, 3 * sizes.dim, format),
          out(arrays, sizes.dim, sizes.dim, format),
          ffn_norm(arrays, sizes.dim),
          ffn_in(arrays, sizes.dim, sizes.ffn_dim, format),
          ffn_out(arrays, sizes.ffn_dim, sizes.dim, format) {}

    Norm attention_norm;
    Linear qkv, out;
    Norm ffn_norm;
    Linear ffn_in, ffn_out;
};

// A transposed convolution and the residual block after it.
struct Stage {
    Stage(Arrays& arrays, const Sizes& sizes, int64_t channels, int64_t ratio, Format format,
          int64_t* state_size)
        : channels(channels), hidden(channels / sizes.compress), ratio(ratio),
          up(arrays, 2 * channels, ratio * channels, 2, format, state_size),
          narrow(arrays, channels, hidden, sizes.residual_kernel, format, state_size),
          widen(arrays, hidden, channels, format, true) {}

    int64_t channels, hidden, ratio;
    Conv up, narrow;
    Linear widen;
};

inline std::vector<Layer> transformer(Arrays& arrays, const Sizes& sizes, Format format) {
    std::vector<Layer> layers;
    for (int64_t i = 0; i < sizes.num_layers; ++i) layers.emplace_back(arrays, sizes, format);
    return layers;
}

inline std::vector<Stage> stages(Arrays& arrays, const Sizes& sizes, Format format,
                                 int64_t* state_size) {
    std::vector<Stage> stages;
    int64_t channels = sizes.num_filters << sizes.num_ratios;
    for (int64_t i = 0; i < sizes.num_ratios; ++i) {
        channels /= 2;
        stages.emplace_back(arrays, sizes, channels, sizes.ratios[i], format, state_size);
    }
    return stages;
}

}  // namespace causerie::mimi
