// Lossless storage of bf16 weights in three quarters of their size.
//
// The high byte of a bf16 number is its sign and seven bits of its exponent. The weights of a layer
// have similar magnitudes, so sixteen high bytes cover all but a few in a hundred thousand. A panel
// stores the low bytes, four bits per high byte as an index into its sixteen, and the few other
// numbers separately. Knows nothing about products.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "simd.hpp"

namespace causerie {

// Words (two bf16 numbers of each of sixteen rows) in a step, and the bytes of a step: the codes of
// the high bytes of all four words, then the low bytes.
constexpr int64_t kStepWords = 4;
constexpr int64_t kStepBytes = 3 * 64;
constexpr int64_t kStepNumbers = 32 * kStepWords;

// Whether these kernels have an instruction for sixteen table look-ups. Without it, the look-up costs
// more than reading 16 bits.
#if defined(__AVX2__)
constexpr bool kCompacts = true;
#else
constexpr bool kCompacts = false;
#endif

// The header of a panel.
struct CompactHeader {
    // A number whose high byte is not in the table.
    struct Other {
        uint32_t index;  // in the panel
        uint32_t bits;
    };
    uint8_t tops[16];
    uint32_t num_others;
    uint32_t unused;
    Other others[1];  // in order of index; there is room for one in a few thousand
};

inline int64_t compact_header_bytes(int64_t num_words) { return 64 * (1 + num_words / 256); }

// The size of a panel with `num_words` words, a multiple of kStepWords.
inline int64_t compact_bytes(int64_t num_words) {
    return compact_header_bytes(num_words) + num_words / kStepWords * kStepBytes;
}

// One of several panels that are read together: their headers, then their interleaved steps, so that
// memory is read sequentially.
struct Compact {
    uint8_t* header_at;
    uint8_t* steps;
    int64_t stride;  // bytes between steps

    Compact(uint8_t* panels, int64_t num_panels, int64_t index, int64_t num_words)
        : header_at(panels + index * compact_header_bytes(num_words)),
          steps(panels + num_panels * compact_header_bytes(num_words) + index * kStepBytes),
          stride(num_panels * kStepBytes) {}
    CompactHeader& header() const { return *reinterpret_cast<CompactHeader*>(header_at); }
};

// Stores a panel of bf16 numbers [num_words][16][2] in zeroed memory. Returns false, and leaves the
// memory unusable, if too many numbers are not covered by the table.
bool compact(const uint16_t* panel, int64_t num_words, const Compact& out);

// The original words begin … end - 1 of a panel; both are multiples of kStepWords.
void expand(const Compact& panel, int64_t begin, int64_t end, uint8_t* out);

#if defined(__AVX2__)
// The table of sixteen high bytes for expand_step.
#if defined(CAUSERIE_AVX512)
typedef __m512i Tops;
inline Tops load_tops(const uint8_t* tops) {
    return _mm512_maskz_broadcast_i32x4(  // the plain one causes a wrong warning in GCC 12
        0xffff, _mm_loadu_si128(reinterpret_cast<const __m128i*>(tops)));
}
#else
typedef __m256i Tops;
inline Tops load_tops(const uint8_t* tops) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(tops)));
}
#endif

// Steps to prefetch ahead: the hardware prefetches too late. 12 and 32 gain less.
constexpr int64_t kStepsAhead = 24;

inline void prefetch_step(const uint8_t* step) {
    CAUSERIE_UNROLL for (int line = 0; line < 3; ++line) __builtin_prefetch(step + 64 * line);
}

// The four words of a step, without the numbers stored separately.
inline void expand_step(const uint8_t* step, Tops tops, Ints (&words)[kStepWords]) {
    const Ints codes = load(static_cast<const void*>(step)), low = ints(0x0f0f0f0f);
    const Ints chosen[2] = {codes & low, shift_right(codes, 4) & low};
    CAUSERIE_UNROLL for (int half = 0; half < 2; ++half) {
        const Ints bytes = load(static_cast<const void*>(step + 64 + 64 * half));
        CAUSERIE_PARTS {
#if defined(CAUSERIE_AVX512)
            const __m512i high = _mm512_shuffle_epi8(tops, (__m512i)chosen[half].part[i]);
            const __m512i even = _mm512_unpacklo_epi8((__m512i)bytes.part[i], high);
            const __m512i odd = _mm512_unpackhi_epi8((__m512i)bytes.part[i], high);
#else
            const __m256i high = _mm256_shuffle_epi8(tops, (__m256i)chosen[half].part[i]);
            const __m256i even = _mm256_unpacklo_epi8((__m256i)bytes.part[i], high);
            const __m256i odd = _mm256_unpackhi_epi8((__m256i)bytes.part[i], high);
#endif
            words[2 * half].part[i] = (IntPart)even;
            words[2 * half + 1].part[i] = (IntPart)odd;
        }
    }
}

// Inserts bf16 number `at` of a step into its words, which are in order.
inline void put_number(uint32_t at, uint32_t bits, Ints (&words)[kStepWords]) {
#if defined(CAUSERIE_AVX512)
    const __m512i number = _mm512_set1_epi16(static_cast<int16_t>(bits));
    CAUSERIE_UNROLL for (uint32_t i = 0; i < kStepWords; ++i) {
        const __mmask32 here = at / 32 == i ? uint32_t{1} << at % 32 : 0;
        words[i].part[0] =
            (IntPart)_mm512_mask_mov_epi16((__m512i)words[i].part[0], here, number);
    }
#else
    uint16_t numbers[32 * kStepWords];
    std::memcpy(numbers, words, sizeof numbers);
    numbers[at] = static_cast<uint16_t>(bits);
    std::memcpy(words, numbers, sizeof numbers);
#endif
}
#endif

}  // namespace causerie
