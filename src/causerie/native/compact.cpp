#include "compact.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <numeric>

#include "simd.hpp"

namespace causerie {
namespace {

constexpr int kNumTops = 16;

uint32_t room_for_others(int64_t num_words) {
    return static_cast<uint32_t>(
        (compact_header_bytes(num_words) - offsetof(CompactHeader, others)) /
        sizeof(CompactHeader::Other));
}

// The most frequent bytes, in ascending order.
void most_frequent(const std::array<int64_t, 256>& counts, uint8_t* tops) {
    std::array<int, 256> order;
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return counts[a] > counts[b]; });
    std::sort(order.begin(), order.begin() + kNumTops);
    std::copy(order.begin(), order.begin() + kNumTops, tops);
}

// Where in a step number i of its four words has its low byte, and its code twice that far: expand
// puts low bytes 16j … 16j + 7 into one word and 16j + 8 … 16j + 15 into the next.
int64_t place(int64_t i) {
    const int64_t word = i / 32, within = i % 32;
    return word / 2 * 64 + within / 8 * 16 + word % 2 * 8 + within % 8;
}

}  // namespace

bool compact(const uint16_t* panel, int64_t num_words, const Compact& out) {
    CompactHeader* header = &out.header();
    std::array<int64_t, 256> counts{};
    for (int64_t i = 0; i < 32 * num_words; ++i) ++counts[panel[i] >> 8];
    most_frequent(counts, header->tops);
    std::array<int, 256> codes;
    codes.fill(-1);
    for (int i = 0; i < kNumTops; ++i) codes[header->tops[i]] = i;
    for (int64_t i = 0; i < 32 * num_words; ++i) {
        const int code = codes[panel[i] >> 8];
        if (code < 0) {
            if (header->num_others == room_for_others(num_words)) return false;
            header->others[header->num_others++] = {static_cast<uint32_t>(i), panel[i]};
            continue;
        }
        const int64_t step = i / (32 * kStepWords), to = place(i % (32 * kStepWords));
        uint8_t* bytes = out.steps + step * out.stride;
        bytes[to % 64] |= static_cast<uint8_t>(code << (to / 64 * 4));
        bytes[64 + to] = static_cast<uint8_t>(panel[i]);
    }
    return true;
}

#if defined(__AVX2__)
void expand(const Compact& panel, int64_t begin, int64_t end, uint8_t* out) {
    const CompactHeader* header = &panel.header();
    const Tops tops = load_tops(header->tops);
    const uint8_t* step = panel.steps + begin / kStepWords * panel.stride;
    for (int64_t u = begin; u < end; u += kStepWords, step += panel.stride) {
        Ints words[kStepWords];
        expand_step(step, tops, words);
        prefetch_step(step + kStepsAhead * kStepBytes);
        std::memcpy(out + 64 * (u - begin), words, sizeof words);
    }
    auto* numbers = reinterpret_cast<uint16_t*>(out);
    for (uint32_t i = 0; i < header->num_others; ++i) {
        const CompactHeader::Other& other = header->others[i];
        if (other.index >= 32 * end) break;
        if (other.index >= 32 * begin)
            numbers[other.index - 32 * begin] = static_cast<uint16_t>(other.bits);
    }
}
#else
void expand(const Compact&, int64_t, int64_t, uint8_t*) {}  // these kernels do not compact weights
#endif

}  // namespace causerie
