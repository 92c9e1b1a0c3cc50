// Keys and values of one slot, in the panel layout of weights: attention is two products with them.
//
// Keys of sixteen positions are a panel of E inputs, sixteen features of the values a panel of as
// many inputs as there are positions. Memory beyond the last position is not committed.
#pragma once

#include <cstdlib>

#include "gemm.hpp"
#include "tile.hpp"

namespace causerie {

struct LlamaSizes {
    int64_t num_layers, dim, num_heads, num_kv_heads, head_dim, ffn_dim;
    float norm_eps;
};

class Cache {
   public:
    // In f32 or bf16, for up to max_rows positions.
    Cache(const LlamaSizes& sizes, int64_t max_rows, Format format);
    ~Cache() { std::free(memory_); }
    Cache(const Cache&) = delete;
    Cache& operator=(const Cache&) = delete;

    // Stores a key and a value (E) at a position. The positions of a head come in order.
    void put(int64_t layer, int64_t head, int64_t position, const float* key, const float* value);

    Panels keys(int64_t layer, int64_t head) const;
    Panels values(int64_t layer, int64_t head) const;

    // The size of the first rows, and copies from and to them.
    int64_t saved_bytes(int64_t num_rows) const;
    void save(int64_t num_rows, uint8_t* to) const;
    void load(int64_t num_rows, int64_t num_saved, const uint8_t* from);

    Format format() const { return format_; }

   private:
    template <class Copy>
    void each_piece(int64_t num_rows, Copy&& copy) const;

    int64_t heads_;  // of all layers
    int64_t heads_of_layer_;
    int64_t head_dim_;
    int64_t key_words_, value_panels_, value_words_;  // words per key panel; panels, words per panel
    int64_t head_bytes_;
    Format format_;
    uint8_t* memory_ = nullptr;
};

}  // namespace causerie
