#include "cache.hpp"

#include <new>

namespace causerie {
namespace {

constexpr int64_t kWord = 64;  // bytes in a word of sixteen lanes

// Numbers in a word of a lane.
int64_t per_word(Format format) { return format == Format::bf16 ? 2 : 1; }

}  // namespace

Cache::Cache(const LlamaSizes& sizes, int64_t max_rows, Format format)
    : heads_(sizes.num_layers * sizes.num_kv_heads),
      heads_of_layer_(sizes.num_kv_heads),
      head_dim_(sizes.head_dim),
      key_words_(sizes.head_dim / per_word(format)),
      value_panels_((sizes.head_dim + kPanel - 1) / kPanel),
      value_words_(round_up(max_rows, kPanel) / per_word(format)),
      format_(format) {
    const int64_t key_panels = round_up(max_rows, kPanel) / kPanel;
    head_bytes_ = (key_panels * key_words_ + value_panels_ * value_words_) * kWord;
    memory_ = static_cast<uint8_t*>(std::calloc(heads_, head_bytes_));
    if (!memory_) throw std::bad_alloc();
}

Panels Cache::keys(int64_t layer, int64_t head) const {
    const int64_t index = layer * heads_of_layer_ + head;
    return {memory_ + index * head_bytes_, key_words_ * kWord};
}

Panels Cache::values(int64_t layer, int64_t head) const {
    const int64_t index = layer * heads_of_layer_ + head;
    const int64_t values = value_panels_ * value_words_ * kWord;
    return {memory_ + (index + 1) * head_bytes_ - values, value_words_ * kWord};
}

void Cache::put(int64_t layer, int64_t head, int64_t position, const float* key,
                const float* value) {
    const Panels k = keys(layer, head), v = values(layer, head);
    uint8_t* key_panel = const_cast<uint8_t*>(k.data) + position / kPanel * k.panel_bytes;
    uint8_t* value_panel = const_cast<uint8_t*>(v.data);
    const int64_t lane = position % kPanel;
    if (format_ == Format::f32) {
        float* keys_of = reinterpret_cast<float*>(key_panel) + lane;
        for (int64_t e = 0; e < head_dim_; ++e) keys_of[e * kPanel] = key[e];
        for (int64_t e = 0; e < head_dim_; ++e)
            reinterpret_cast<float*>(value_panel + e / kPanel * v.panel_bytes)[position * kPanel +
                                                                               e % kPanel] = value[e];
        return;
    }
    uint16_t* keys_of = reinterpret_cast<uint16_t*>(key_panel) + lane * 2;
    for (int64_t e = 0; e < head_dim_; ++e)
        keys_of[e / 2 * kPanel * 2 + e % 2] = to_bf16(key[e]);
    const int64_t half = position % 2;
    for (int64_t e = 0; e < head_dim_; ++e) {
        uint16_t* word = reinterpret_cast<uint16_t*>(value_panel + e / kPanel * v.panel_bytes) +
                         (position / 2 * kPanel + e % kPanel) * 2;
        word[half] = to_bf16(value[e]);
        if (!half) word[1] = 0;  // a weight of 0 does not cancel an old infinity
    }
}

// Calls copy(offset, bytes) for the parts of every head that hold the first rows.
template <class Copy>
void Cache::each_piece(int64_t num_rows, Copy&& copy) const {
    const int64_t keys = (num_rows + kPanel - 1) / kPanel * key_words_ * kWord;
    const int64_t values = (num_rows + per_word(format_) - 1) / per_word(format_) * kWord;
    for (int64_t head = 0; head < heads_; ++head) {
        copy(head * head_bytes_, keys);
        for (int64_t panel = 0; panel < value_panels_; ++panel)
            copy((head + 1) * head_bytes_ - (value_panels_ - panel) * value_words_ * kWord, values);
    }
}

int64_t Cache::saved_bytes(int64_t num_rows) const {
    int64_t total = 0;
    each_piece(num_rows, [&](int64_t, int64_t bytes) { total += bytes; });
    return total;
}

void Cache::save(int64_t num_rows, uint8_t* to) const {
    each_piece(num_rows, [&](int64_t offset, int64_t bytes) {
        std::memcpy(to, memory_ + offset, bytes);
        to += bytes;
    });
}

// The parts of more rows begin with those of fewer.
void Cache::load(int64_t num_rows, int64_t num_saved, const uint8_t* from) {
    const uint8_t* piece = from;
    const int64_t keys = (num_rows + kPanel - 1) / kPanel * key_words_ * kWord;
    const int64_t values = (num_rows + per_word(format_) - 1) / per_word(format_) * kWord;
    int64_t index = 0;
    each_piece(num_saved, [&](int64_t offset, int64_t bytes) {
        const bool is_keys = index++ % (1 + value_panels_) == 0;
        std::memcpy(memory_ + offset, piece, is_keys ? keys : values);
        piece += bytes;
    });
}

}  // namespace causerie
