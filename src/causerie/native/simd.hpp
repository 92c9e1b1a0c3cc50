// Sixteen numbers at a time, in the registers of the target: one of AVX-512, two of AVX2, four of
// 128 bits elsewhere. Knows nothing about products or models.
//
// The library is compiled with -ffp-contract=off: fused operations are written `fma`, so the same
// expression gives the same bits everywhere in one library.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace causerie {

#if defined(__AVX512BF16__) && defined(__AVX512VNNI__) && defined(__AVX512VL__)
#define CAUSERIE_AVX512 1
constexpr int kRegister = 64;
#elif defined(__AVX2__) && defined(__FMA__)
#define CAUSERIE_AVX2 1
constexpr int kRegister = 32;
#else
constexpr int kRegister = 16;
#endif

constexpr int kLanes = 16;
constexpr int kParts = 64 / kRegister;
constexpr int kPartLanes = kLanes / kParts;

typedef float FloatPart __attribute__((vector_size(kRegister)));
typedef int32_t IntPart __attribute__((vector_size(kRegister)));
typedef uint32_t WordPart __attribute__((vector_size(kRegister)));

struct Floats {
    FloatPart part[kParts];
};
struct Ints {
    IntPart part[kParts];
};

// Functions of registers that are long, but must not pass them through memory.
#define CAUSERIE_INLINE inline __attribute__((always_inline))

#define CAUSERIE_UNROLL _Pragma("GCC unroll 16")

// A loop over the registers of sixteen lanes.
#define CAUSERIE_PARTS _Pragma("GCC unroll 4") for (int i = 0; i < kParts; ++i)

// Register by register: copying several at once goes through the stack.
inline Floats load(const float* p) {
    Floats out;
    CAUSERIE_PARTS std::memcpy(&out.part[i], p + i * kPartLanes, kRegister);
    return out;
}
inline Ints load(const void* p) {
    Ints out;
    CAUSERIE_PARTS std::memcpy(&out.part[i], static_cast<const char*>(p) + i * kRegister, kRegister);
    return out;
}
inline void store(float* p, const Floats& x) {
    CAUSERIE_PARTS std::memcpy(p + i * kPartLanes, &x.part[i], kRegister);
}
inline void store(int32_t* p, const Ints& x) {
    CAUSERIE_PARTS std::memcpy(p + i * kPartLanes, &x.part[i], kRegister);
}

inline Floats floats(float x) {
    Floats out;
    CAUSERIE_PARTS out.part[i] = x - FloatPart{};
    return out;
}
inline Ints ints(int32_t x) {
    Ints out;
    CAUSERIE_PARTS out.part[i] = x - IntPart{};
    return out;
}
inline Floats as_floats(const Ints& x) {
    Floats out;
    CAUSERIE_PARTS out.part[i] = (FloatPart)x.part[i];
    return out;
}
inline Ints as_ints(const Floats& x) {
    Ints out;
    CAUSERIE_PARTS out.part[i] = (IntPart)x.part[i];
    return out;
}
inline Floats to_floats(const Ints& x) {
    Floats out;
    CAUSERIE_PARTS out.part[i] = __builtin_convertvector(x.part[i], FloatPart);
    return out;
}

// Rounded towards 0; |x| < 2³¹.
inline Ints to_ints(const Floats& x) {
    Ints out;
    CAUSERIE_PARTS out.part[i] = __builtin_convertvector(x.part[i], IntPart);
    return out;
}

inline Floats operator+(const Floats& a, const Floats& b) {
    Floats out;
    CAUSERIE_PARTS out.part[i] = a.part[i] + b.part[i];
    return out;
}
inline Floats operator-(const Floats& a, const Floats& b) {
    Floats out;
    CAUSERIE_PARTS out.part[i] = a.part[i] - b.part[i];
    return out;
}
inline Floats operator*(const Floats& a, const Floats& b) {
    Floats out;
    CAUSERIE_PARTS out.part[i] = a.part[i] * b.part[i];
    return out;
}
inline Floats operator/(const Floats& a, const Floats& b) {
    Floats out;
    CAUSERIE_PARTS out.part[i] = a.part[i] / b.part[i];
    return out;
}
// Sums and products of integers wrap.
inline Ints operator+(const Ints& a, const Ints& b) {
    Ints out;
    CAUSERIE_PARTS out.part[i] = (IntPart)((WordPart)a.part[i] + (WordPart)b.part[i]);
    return out;
}
inline Ints operator-(const Ints& a, const Ints& b) {
    Ints out;
    CAUSERIE_PARTS out.part[i] = (IntPart)((WordPart)a.part[i] - (WordPart)b.part[i]);
    return out;
}
inline Ints operator*(const Ints& a, const Ints& b) {
    Ints out;
    CAUSERIE_PARTS out.part[i] = (IntPart)((WordPart)a.part[i] * (WordPart)b.part[i]);
    return out;
}
inline Ints operator&(const Ints& a, const Ints& b) {
    Ints out;
    CAUSERIE_PARTS out.part[i] = a.part[i] & b.part[i];
    return out;
}
inline Ints operator|(const Ints& a, const Ints& b) {
    Ints out;
    CAUSERIE_PARTS out.part[i] = a.part[i] | b.part[i];
    return out;
}
inline Ints operator^(const Ints& a, const Ints& b) {
    Ints out;
    CAUSERIE_PARTS out.part[i] = a.part[i] ^ b.part[i];
    return out;
}
inline Ints shift_left(const Ints& a, int bits) {
    Ints out;
    CAUSERIE_PARTS out.part[i] = a.part[i] << bits;
    return out;
}
inline Ints shift_right(const Ints& a, int bits) {  // arithmetic
    Ints out;
    CAUSERIE_PARTS out.part[i] = a.part[i] >> bits;
    return out;
}
// The larger of limit and x; NaN of x stays.
inline Floats at_least(const Floats& limit, const Floats& x) {
    Floats out;
    CAUSERIE_PARTS out.part[i] = x.part[i] < limit.part[i] ? limit.part[i] : x.part[i];
    return out;
}
inline Floats at_most(const Floats& limit, const Floats& x) {
    Floats out;
    CAUSERIE_PARTS out.part[i] = x.part[i] > limit.part[i] ? limit.part[i] : x.part[i];
    return out;
}
inline Ints larger(const Ints& a, const Ints& b) {
    Ints out;
    CAUSERIE_PARTS out.part[i] = a.part[i] > b.part[i] ? a.part[i] : b.part[i];
    return out;
}

// All bits of a lane where a < b, or where integers are not 0; `select` takes such masks.
inline Ints less(const Floats& a, const Floats& b) {
    Ints out;
    CAUSERIE_PARTS out.part[i] = a.part[i] < b.part[i];
    return out;
}
inline Ints not_zero(const Ints& a) {
    Ints out;
    CAUSERIE_PARTS out.part[i] = a.part[i] != 0;
    return out;
}
inline Ints select(const Ints& mask, const Ints& a, const Ints& b) {
    Ints out;
    CAUSERIE_PARTS out.part[i] = mask.part[i] ? a.part[i] : b.part[i];
    return out;
}
inline Floats select(const Ints& mask, const Floats& a, const Floats& b) {
    Floats out;
    CAUSERIE_PARTS out.part[i] = mask.part[i] ? a.part[i] : b.part[i];
    return out;
}

// a · b + c, rounded once if the target can.
inline FloatPart fma(FloatPart a, FloatPart b, FloatPart c) {
#if defined(CAUSERIE_AVX512)
    return (FloatPart)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(CAUSERIE_AVX2)
    return (FloatPart)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__)
    return (FloatPart)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}
inline Floats fma(const Floats& a, const Floats& b, const Floats& c) {
    Floats out;
    CAUSERIE_PARTS out.part[i] = fma(a.part[i], b.part[i], c.part[i]);
    return out;
}

inline Floats sqrt(const Floats& x) {
    Floats out;
#if defined(CAUSERIE_AVX512)
    out.part[0] = (FloatPart)_mm512_sqrt_ps((__m512)x.part[0]);
#elif defined(CAUSERIE_AVX2)
    CAUSERIE_PARTS out.part[i] = (FloatPart)_mm256_sqrt_ps((__m256)x.part[i]);
#elif defined(__aarch64__)
    CAUSERIE_PARTS out.part[i] = (FloatPart)vsqrtq_f32((float32x4_t)x.part[i]);
#else
    CAUSERIE_PARTS for (int j = 0; j < kPartLanes; ++j)
        out.part[i][j] = __builtin_sqrtf(x.part[i][j]);
#endif
    return out;
}

// c plus the products of the two bf16 numbers in each lane of a and b.
inline Floats dot2(const Ints& a, const Ints& b, const Floats& c) {
#if defined(CAUSERIE_AVX512)
    Floats out;
    out.part[0] = (FloatPart)_mm512_dpbf16_ps((__m512)c.part[0], (__m512bh)(__m512i)a.part[0],
                                              (__m512bh)(__m512i)b.part[0]);
    return out;
#else
    const Ints high = ints(static_cast<int32_t>(0xffff0000u));
    const Floats even = fma(as_floats(shift_left(a, 16)), as_floats(shift_left(b, 16)), c);
    return fma(as_floats(a & high), as_floats(b & high), even);
#endif
}

// c plus the products of the two 16-bit integers in each lane, of which none is -2¹⁵.
inline Ints dot2(const Ints& a, const Ints& b, const Ints& c) {
    Ints out;
#if defined(CAUSERIE_AVX512)
    out.part[0] =
        (IntPart)_mm512_dpwssd_epi32((__m512i)c.part[0], (__m512i)a.part[0], (__m512i)b.part[0]);
#elif defined(CAUSERIE_AVX2)
    CAUSERIE_PARTS out.part[i] =
        c.part[i] + (IntPart)_mm256_madd_epi16((__m256i)a.part[i], (__m256i)b.part[i]);
#elif defined(__SSE2__)
    CAUSERIE_PARTS out.part[i] =
        c.part[i] + (IntPart)_mm_madd_epi16((__m128i)a.part[i], (__m128i)b.part[i]);
#elif defined(__aarch64__)
    CAUSERIE_PARTS {
        const int16x8_t u = (int16x8_t)a.part[i], v = (int16x8_t)b.part[i];
        const int32x4_t low = vmull_s16(vget_low_s16(u), vget_low_s16(v));
        out.part[i] = c.part[i] + (IntPart)vpaddq_s32(low, vmull_high_s16(u, v));
    }
#else
    CAUSERIE_PARTS {
        const IntPart u = a.part[i], v = b.part[i];
        out.part[i] = c.part[i] + (u << 16 >> 16) * (v << 16 >> 16) + (u >> 16) * (v >> 16);
    }
#endif
    return out;
}

// c plus the products of the four bytes in each lane: a unsigned, b signed.
inline Ints dot4(const Ints& a, const Ints& b, const Ints& c) {
    Ints out;
#if defined(CAUSERIE_AVX512)
    out.part[0] =
        (IntPart)_mm512_dpbusd_epi32((__m512i)c.part[0], (__m512i)a.part[0], (__m512i)b.part[0]);
#elif defined(CAUSERIE_AVX2)
    const __m256i bytes = _mm256_set1_epi16(0xff);
    CAUSERIE_PARTS {
        const __m256i u = (__m256i)a.part[i], s = (__m256i)b.part[i];
        const __m256i even = _mm256_madd_epi16(
            _mm256_and_si256(u, bytes), _mm256_srai_epi16(_mm256_slli_epi16(s, 8), 8));
        const __m256i odd =
            _mm256_madd_epi16(_mm256_srli_epi16(u, 8), _mm256_srai_epi16(s, 8));
        out.part[i] = c.part[i] + (IntPart)even + (IntPart)odd;
    }
#elif defined(__aarch64__)
    // Even and odd bytes as 16 bits: 255 · -128 fits. SDOT and USDOT are not on every AArch64.
    CAUSERIE_PARTS {
        const uint16x8_t u = (uint16x8_t)a.part[i];
        const int16x8_t s = (int16x8_t)b.part[i];
        const int16x8_t even = vmulq_s16(vreinterpretq_s16_u16(vandq_u16(u, vdupq_n_u16(0xff))),
                                         vshrq_n_s16(vshlq_n_s16(s, 8), 8));
        const int16x8_t odd =
            vmulq_s16(vreinterpretq_s16_u16(vshrq_n_u16(u, 8)), vshrq_n_s16(s, 8));
        out.part[i] = (IntPart)vpadalq_s16(vpadalq_s16((int32x4_t)c.part[i], even), odd);
    }
#else
    CAUSERIE_PARTS {
        const IntPart u = a.part[i], s = b.part[i];
        out.part[i] = c.part[i] + (u & 0xff) * (s << 24 >> 24) +
                      (u >> 8 & 0xff) * (s << 16 >> 24) + (u >> 16 & 0xff) * (s << 8 >> 24) +
                      (u >> 24 & 0xff) * (s >> 24);
    }
#endif
    return out;
}

// The sum of all lanes, always in the same order.
inline float sum(const Floats& x) {
    float v[kLanes];
    store(v, x);
    for (int width = kLanes / 2; width; width /= 2)
        for (int i = 0; i < width; ++i) v[i] += v[i + width];
    return v[0];
}
inline float largest(const Floats& x) {
    float v[kLanes];
    store(v, x);
    for (int width = kLanes / 2; width; width /= 2)
        for (int i = 0; i < width; ++i) v[i] = v[i] < v[i + width] ? v[i + width] : v[i];
    return v[0];
}

inline int32_t largest(const Ints& x) {
    int32_t v[kLanes];
    store(v, x);
    for (int width = kLanes / 2; width; width /= 2)
        for (int i = 0; i < width; ++i) v[i] = v[i] < v[i + width] ? v[i + width] : v[i];
    return v[0];
}

// The nearest integers as floats, and in the low bits of the second as integers; |x| < 2²².
inline Floats nearest(const Floats& x, Ints* integers) {
    const Floats shifter = floats(12582912.0f);  // 1.5 · 2²³: its last bit stands for 1
    const Floats shifted = x + shifter;
    *integers = as_ints(shifted);
    return shifted - shifter;
}

// eˣ to about 1e-7 relative; x is clamped to ±87.
CAUSERIE_INLINE Floats exp(const Floats& x) {
    const Floats held = at_most(floats(87.0f), at_least(floats(-87.0f), x));
    Ints power;
    const Floats n = nearest(held * floats(1.44269504f), &power);  // log2 e
    // x - n ln 2, ln 2 in two parts of which the first has few digits.
    const Floats r = fma(n, floats(2.12194440e-4f), fma(n, floats(-0.693359375f), held));
    Floats p = floats(1.9875691500e-4f);  // the polynomial of Cephes' expf
    p = fma(p, r, floats(1.3981999507e-3f));
    p = fma(p, r, floats(8.3334519073e-3f));
    p = fma(p, r, floats(4.1665795894e-2f));
    p = fma(p, r, floats(1.6666665459e-1f));
    p = fma(p, r, floats(5.0000001201e-1f));
    p = fma(p, r * r, r + floats(1.0f));
    return as_floats(as_ints(p) + shift_left(power, 23));  // times 2ⁿ
}

// To bf16 and back, to the nearest, ties to even.
inline uint16_t to_bf16(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>(bits >> 16 | 0x40);  // NaN
    return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline float from_bf16(uint16_t x) {
    const uint32_t bits = static_cast<uint32_t>(x) << 16;
    float out;
    std::memcpy(&out, &bits, sizeof out);
    return out;
}
inline Floats load_bf16(const uint16_t* p) {
#if defined(CAUSERIE_AVX512)
    const __m256i half = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    Floats out;
    out.part[0] = (FloatPart)_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16);
    return out;
#else
    float v[kLanes];
    for (int i = 0; i < kLanes; ++i) v[i] = from_bf16(p[i]);
    return load(v);
#endif
}
// Sixteen signed bytes. GCC 12 takes __builtin_convertvector apart.
inline Ints load_bytes(const uint8_t* p) {
    Ints out;
#if defined(CAUSERIE_AVX512)
    out.part[0] = (IntPart)_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
#elif defined(CAUSERIE_AVX2)
    CAUSERIE_PARTS out.part[i] = (IntPart)_mm256_cvtepi8_epi32(
        _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p + i * kPartLanes)));
#elif defined(__aarch64__)
    const int8x16_t bytes = vreinterpretq_s8_u8(vld1q_u8(p));
    const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
    out.part[0] = (IntPart)vmovl_s16(vget_low_s16(low));
    out.part[1] = (IntPart)vmovl_high_s16(low);
    out.part[2] = (IntPart)vmovl_s16(vget_low_s16(high));
    out.part[3] = (IntPart)vmovl_high_s16(high);
#else
    int32_t values[kLanes];
    for (int i = 0; i < kLanes; ++i) values[i] = static_cast<int8_t>(p[i]);
    out = load(static_cast<const void*>(values));
#endif
    return out;
}

inline void store_bf16(uint16_t* p, const Floats& x) {
#if defined(CAUSERIE_AVX512)
    const __m256bh half = _mm512_cvtneps_pbh((__m512)x.part[0]);
    std::memcpy(p, &half, sizeof half);
#else
    float v[kLanes];
    store(v, x);
    for (int i = 0; i < kLanes; ++i) p[i] = to_bf16(v[i]);
#endif
}

}  // namespace causerie
