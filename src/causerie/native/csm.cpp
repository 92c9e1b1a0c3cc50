#include "csm.hpp"

#include <algorithm>

#include "api.hpp"

namespace causerie {
namespace {

constexpr int64_t kPrefillRows = 120;  // per block, as in the products

float from_half(uint16_t x) {
    const uint32_t sign = static_cast<uint32_t>(x & 0x8000) << 16;
    const uint32_t rest = x & 0x7fff;
    if (rest >= 0x7c00) {  // infinity and NaN
        const uint32_t bits = sign | 0x7f800000 | (rest & 0x3ff) << 13;
        float out;
        std::memcpy(&out, &bits, sizeof out);
        return out;
    }
    uint32_t bits = rest << 13;  // the exponent is 112 too small; the product below corrects it
    float out;
    std::memcpy(&out, &bits, sizeof out);
    out *= 5.192296858534828e33f;  // 2¹¹²
    std::memcpy(&bits, &out, sizeof bits);
    bits |= sign;
    std::memcpy(&out, &bits, sizeof out);
    return out;
}

}  // namespace

Csm::Csm(Pool& pool, const CsmSizes& sizes, const LlamaSizes& backbone, const LlamaSizes& depth,
         const Rotation& backbone_rotation, const Rotation& depth_rotation, Format cache_format,
         Format depth_cache_format, Table audio, Table text, int64_t num_slots)
    : pool_(pool),
      sizes_(sizes),
      backbone_(backbone, backbone_rotation),
      depth_(depth, depth_rotation),
      cache_format_(cache_format),
      depth_cache_format_(depth_cache_format),
      audio_(audio),
      text_(text),
      slots_(num_slots) {}

// -- embedding --------------------------------------------------------------------------------

void Csm::add_embedding(const Table& table, int64_t row, float* x) const {
    const int64_t dim = backbone_.sizes().dim;
    if (table.type == 0) {
        const float* from = static_cast<const float*>(table.data) + row * dim;
        for (int64_t i = 0; i < dim; ++i) x[i] += from[i];
    } else {
        const uint16_t* from = static_cast<const uint16_t*>(table.data) + row * dim;
        if (table.type == 1)
            for (int64_t i = 0; i < dim; ++i) x[i] += from_bf16(from[i]);
        else
            for (int64_t i = 0; i < dim; ++i) x[i] += from_half(from[i]);
    }
}

// The sum of the embeddings of a row (K+1), without masked columns.
void Csm::embed(const int32_t* row, float* x) const {
    const int64_t num_codebooks = sizes_.num_codebooks;
    std::fill(x, x + backbone_.width(), 0.0f);
    for (int64_t codebook = 0; codebook < num_codebooks; ++codebook)
        if (row[codebook] >= 0) add_embedding(audio_, codebook * sizes_.vocab + row[codebook], x);
    if (row[num_codebooks] >= 0) add_embedding(text_, row[num_codebooks], x);
}

void Csm::embed_code(int64_t codebook, int32_t code, float* x) const {
    std::fill(x, x + backbone_.width(), 0.0f);
    add_embedding(audio_, codebook * sizes_.vocab + code, x);
}

// -- slots ------------------------------------------------------------------------------------

void Csm::use(Slot& slot) {
    if (slot.cache) return;
    slot.cache.reset(new Cache(backbone_.sizes(), sizes_.max_rows, cache_format_));
    slot.depth_cache.reset(new Cache(depth_.sizes(), sizes_.num_codebooks, depth_cache_format_));
    slot.hidden.reserve(backbone_.width());
}

void Csm::reset(int64_t slot) {
    use(slots_[slot]);
    slots_[slot].length = 0;
    slots_[slot].drawn.clear();
}

void Csm::prefill(int64_t index, const int32_t* rows, int64_t n) {
    Slot& slot = slots_[index];
    use(slot);
    const int64_t width = backbone_.width(), row_size = sizes_.num_codebooks + 1;
    for (int64_t done = 0; done < n; done += kPrefillRows) {
        const int64_t count = std::min(kPrefillRows, n - done);
        float* x = x_.reserve(count * width);
        parallel(pool_, count, [&](int64_t row) {
            embed(rows + (done + row) * row_size, x + row * width);
        });
        backbone_.read(pool_, x, {{slot.cache.get(), 0, count, slot.length}},
                       done + count == n ? slot.hidden.data() : nullptr);
        slot.length += count;
    }
}

// -- a frame ----------------------------------------------------------------------------------

// The backbone reads the last drawn frames of all slots that have one, in one batch.
void Csm::read_drawn(const Draw* draws, int64_t n) {
    const int64_t width = backbone_.width();
    float* x = x_.reserve(n * width);
    std::vector<Span> spans;
    std::vector<Slot*> readers;
    for (int64_t i = 0; i < n; ++i) {
        Slot& slot = slots_[draws[i].slot];
        if (slot.drawn.empty()) continue;
        const int64_t row = static_cast<int64_t>(spans.size());
        std::vector<int32_t> full(sizes_.num_codebooks + 1, -1);
        std::copy(slot.drawn.begin(), slot.drawn.end(), full.begin());
        embed(full.data(), x + row * width);
        spans.push_back({slot.cache.get(), row, 1, slot.length});
        readers.push_back(&slot);
    }
    if (spans.empty()) return;
    float* hidden = hidden_.reserve(n * width);
    backbone_.read(pool_, x, spans, hidden);
    for (size_t i = 0; i < readers.size(); ++i) {
        std::memcpy(readers[i]->hidden.data(), hidden + i * width, width * sizeof(float));
        readers[i]->drawn.clear();
        ++readers[i]->length;
    }
}

// Codes of one codebook from hidden states (n, ld).
void Csm::choose(const Draw* draws, int64_t n, int64_t codebook, const float* from, int64_t ld,
                 const Results& results) {
    const int64_t num_codes = sizes_.num_codes;
    const int64_t row = round_up(num_codes, kLanes);
    float* logits = logits_.reserve(n * row);
    gemm(pool_, *heads_[codebook], from, n, ld, logits, row);
    parallel(pool_, n, [&](int64_t i) {
        float* of = logits + i * row;
        if (!all_finite(of, num_codes)) results.broken[i] = 1;
        if (codebook == 0) results.stops[i] = log_probability(of, num_codes, 0);
        const int64_t at = i * sizes_.num_drawn + codebook;
        if (results.logits)
            std::memcpy(results.logits + at * num_codes, of, num_codes * sizeof(float));
        if (results.forced) {
            results.codes[at] = results.forced[at];
            return;
        }
        const Draw& draw = draws[i];
        results.codes[at] = sample(of, num_codes, codebook ? draw.depth_temperature : draw.temperature,
                                   codebook ? draw.depth_top_k : draw.top_k,
                                   Noise(draw.seed, draw.frame), codebook,
                                   codebook ? 0.0f : draw.stop_bias);
    });
}

void Csm::step(const Draw* draws, int64_t n, const Results& results) {
    read_drawn(draws, n);
    const int32_t* codes = results.codes;
    const int64_t width = backbone_.width(), depth_width = depth_.width();
    float* inputs = inputs_.reserve(2 * n * width);
    float* x = depth_x_.reserve(2 * n * depth_width);
    float* hidden = depth_hidden_.reserve(n * depth_width);
    // Position 0 is the backbone's hidden state, position i + 1 is code i; both pass the projection.
    float* first = hidden_.reserve(n * width);
    for (int64_t i = 0; i < n; ++i)
        std::memcpy(first + i * width, slots_[draws[i].slot].hidden.data(), width * sizeof(float));
    choose(draws, n, 0, first, width, results);
    std::vector<Span> spans(n);
    for (int64_t codebook = 1; codebook < sizes_.num_drawn; ++codebook) {
        const int64_t count = codebook == 1 ? 2 : 1;
        for (int64_t i = 0; i < n; ++i) {
            float* row = inputs + i * count * width;
            if (count == 2) std::memcpy(row, first + i * width, width * sizeof(float));
            embed_code(codebook - 1, codes[i * sizes_.num_drawn + codebook - 1],
                       row + (count - 1) * width);
            spans[i] = {slots_[draws[i].slot].depth_cache.get(), i * count, count,
                        count == 2 ? 0 : codebook};
        }
        gemm(pool_, *projection_, inputs, n * count, width, x, depth_width);
        depth_.read(pool_, x, spans, hidden);
        choose(draws, n, codebook, hidden, depth_width, results);
    }
    for (int64_t i = 0; i < n; ++i)
        slots_[draws[i].slot].drawn.assign(codes + i * sizes_.num_drawn,
                                           codes + (i + 1) * sizes_.num_drawn);
}

}  // namespace causerie

// -- for Python -------------------------------------------------------------------------------

using namespace causerie;

// The setup of a model without its weights.
struct CsmSetup {
    CsmSizes sizes;
    LlamaSizes backbone, depth;
    Rotation backbone_rotation, depth_rotation;
    int64_t cache_format, depth_cache_format;
    const void* audio_table;
    int64_t audio_type;
    const void* text_table;
    int64_t text_type;
    int64_t num_slots;
};

CAUSERIE_API Csm* causerie_csm_new(Pool* pool, const CsmSetup* setup) {
    return new Csm(*pool, setup->sizes, setup->backbone, setup->depth, setup->backbone_rotation,
                   setup->depth_rotation, static_cast<Format>(setup->cache_format),
                   static_cast<Format>(setup->depth_cache_format),
                   {setup->audio_table, static_cast<int>(setup->audio_type)},
                   {setup->text_table, static_cast<int>(setup->text_type)}, setup->num_slots);
}
CAUSERIE_API void causerie_csm_delete(Csm* csm) { delete csm; }

CAUSERIE_API void causerie_csm_add_layer(Csm* csm, int depth, const Packed* qkv, const Packed* o,
                                         const Packed* gate_up, const Packed* down,
                                         const float* attention_norm, const float* ffn_norm) {
    Llama& part = depth ? csm->depth() : csm->backbone();
    Layer layer{qkv, o, gate_up, down, Buffer<float>(part.width()), Buffer<float>(part.width())};
    std::memcpy(layer.attention_norm.data(), attention_norm, part.sizes().dim * sizeof(float));
    std::memcpy(layer.ffn_norm.data(), ffn_norm, part.sizes().dim * sizeof(float));
    part.add_layer(std::move(layer));
}
CAUSERIE_API void causerie_csm_set_norm(Csm* csm, int depth, const float* weight) {
    (depth ? csm->depth() : csm->backbone()).set_norm(weight);
}
CAUSERIE_API void causerie_csm_set_projection(Csm* csm, const Packed* w) { csm->set_projection(w); }
CAUSERIE_API void causerie_csm_add_head(Csm* csm, const Packed* w) { csm->add_head(w); }

CAUSERIE_API void causerie_csm_reset(Csm* csm, int64_t slot) { csm->reset(slot); }
CAUSERIE_API int64_t causerie_csm_length(const Csm* csm, int64_t slot) { return csm->length(slot); }
CAUSERIE_API void causerie_csm_hidden(Csm* csm, int64_t slot, float* to) {
    std::memcpy(to, csm->hidden(slot), csm->backbone().sizes().dim * sizeof(float));
}
CAUSERIE_API void causerie_csm_prefill(Csm* csm, int64_t slot, const int32_t* rows, int64_t n) {
    csm->prefill(slot, rows, n);
}
CAUSERIE_API void causerie_csm_step(Csm* csm, const Draw* draws, int64_t n, const Results* results) {
    csm->step(draws, n, *results);
}

CAUSERIE_API int64_t causerie_csm_saved_bytes(Csm* csm, int64_t slot, int64_t num_rows) {
    return csm->cache(slot).saved_bytes(num_rows);
}
CAUSERIE_API void causerie_csm_save(Csm* csm, int64_t slot, int64_t num_rows, uint8_t* to) {
    csm->cache(slot).save(num_rows, to);
}
CAUSERIE_API void causerie_csm_load(Csm* csm, int64_t slot, int64_t num_rows, int64_t num_saved,
                                    const uint8_t* from) {
    csm->cache(slot).load(num_rows, num_saved, from);
    csm->set_length(slot, num_rows);
}
