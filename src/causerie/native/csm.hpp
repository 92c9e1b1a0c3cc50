// A CSM over slots: rows in, frames of codes out. causerie.model.csm for many requests at once.
#pragma once

#include <memory>
#include <vector>

#include "llama.hpp"
#include "sampling.hpp"

namespace causerie {

// An embedding table, used in place: 0 fp32, 1 bf16, 2 fp16.
struct Table {
    const void* data;
    int type;
};

struct CsmSizes {
    int64_t num_codebooks;   // K, codebooks of a row
    int64_t num_drawn;       // codes drawn per frame, K or fewer
    int64_t vocab;           // rows per codebook in the audio table
    int64_t num_codes;       // codes that may be drawn
    int64_t max_rows;        // of a slot
};

// The settings of the draw for one slot.
struct Draw {
    int64_t slot;
    int64_t seed;
    int64_t frame;
    float temperature, depth_temperature;
    int64_t top_k, depth_top_k;
    float stop_bias;  // added to the logit of code 0 of codebook 0, which begins a stop frame
};

// Outputs of a step.
struct Results {
    int32_t* codes;         // (draws, num_drawn)
    uint8_t* broken;        // (draws), set to 1 if a logit is not finite
    const int32_t* forced;  // codes to continue with in place of the drawn ones, or null
    float* logits;          // (draws, num_drawn, num_codes), or null
    float* stops;           // (draws), log-probability of code 0 of codebook 0, without the bias
};

class Csm {
   public:
    Csm(Pool& pool, const CsmSizes& sizes, const LlamaSizes& backbone, const LlamaSizes& depth,
        const Rotation& backbone_rotation, const Rotation& depth_rotation, Format cache_format,
        Format depth_cache_format, Table audio, Table text, int64_t num_slots);

    Llama& backbone() { return backbone_; }
    Llama& depth() { return depth_; }
    void set_projection(const Packed* projection) { projection_ = projection; }
    void add_head(const Packed* head) { heads_.push_back(head); }

    void reset(int64_t slot);
    void prefill(int64_t slot, const int32_t* rows, int64_t n);  // rows (n, K+1)
    void step(const Draw* draws, int64_t n, const Results& results);

    int64_t length(int64_t slot) const { return slots_[slot].length; }
    const float* hidden(int64_t slot) const { return slots_[slot].hidden.data(); }
    Cache& cache(int64_t slot) { return *slots_[slot].cache; }
    void set_length(int64_t slot, int64_t num_rows) { slots_[slot].length = num_rows; }

   private:
    struct Slot {
        std::unique_ptr<Cache> cache;  // allocated when the slot is first used
        std::unique_ptr<Cache> depth_cache;
        int64_t length = 0;
        std::vector<int32_t> drawn;  // the frame that the backbone has not read yet; may be empty
        Buffer<float> hidden;        // of the last row read
    };

    void use(Slot& slot);
    void add_embedding(const Table& table, int64_t row, float* x) const;
    void embed(const int32_t* row, float* x) const;
    void embed_code(int64_t codebook, int32_t code, float* x) const;
    void read_drawn(const Draw* draws, int64_t n);
    void choose(const Draw* draws, int64_t n, int64_t codebook, const float* from, int64_t ld,
                const Results& results);

    Pool& pool_;
    CsmSizes sizes_;
    Llama backbone_, depth_;
    Format cache_format_, depth_cache_format_;
    Table audio_, text_;
    const Packed* projection_ = nullptr;
    std::vector<const Packed*> heads_;
    std::vector<Slot> slots_;
    Buffer<float> x_, hidden_, inputs_, depth_x_, depth_hidden_, logits_;
};

}  // namespace causerie
